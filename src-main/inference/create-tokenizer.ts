import { Template } from '@huggingface/jinja';
import { Tokenizer as BytePairEncoder } from '@huggingface/tokenizers';

/** The prompt is cut to this many tokens, chat template included. */
export const MAX_PROMPT_TOKENS = 512;

export interface EncodedPrompt {
  /** At most `MAX_PROMPT_TOKENS`. */
  ids: number[];
  truncated: boolean;
  /** Tokens before the cut. */
  total: number;
}

export interface Tokenizer {
  /** The prompt as one user message in the model's chat template, generation prompt added and thinking enabled, as the text encoder is fed. */
  encodePrompt(prompt: string): EncodedPrompt;
}

/** Parsed files of a `tokenizer` folder. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  tokenizer: object;
  /** `tokenizer_config.json` */
  config: Record<string, unknown>;
  /** `chat_template.jinja`, or `chat_template` of the config. */
  chatTemplate: string;
}

/** A tokenizer over files that are in memory, for Node and browsers. Throws whatever the two libraries throw on files that they do not understand. */
export function createTokenizer({ tokenizer, config, chatTemplate }: TokenizerFiles): Tokenizer {
  const encoder = new BytePairEncoder(tokenizer, config);
  const template = new Template(chatTemplate);
  return {
    encodePrompt(prompt) {
      // a lone surrogate has no UTF-8 and so no tokens
      const messages = [{ role: 'user', content: prompt.toWellFormed() }];
      const text = template.render({ messages, add_generation_prompt: true, enable_thinking: true });
      const { ids } = encoder.encode(text);
      return { ids: ids.slice(0, MAX_PROMPT_TOKENS), truncated: ids.length > MAX_PROMPT_TOKENS, total: ids.length };
    },
  };
}
