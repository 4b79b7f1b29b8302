import { Template } from '@huggingface/jinja';
import { Tokenizer as BytePairEncoder } from '@huggingface/tokenizers';
import { MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import { isRecord } from '#main/lib/is-record.ts';
import type { Architecture } from '#shared/domain/architecture.ts';

export interface EncodedPrompt {
  /** At most `MAX_PROMPT_TOKENS`. */
  ids: number[];
  truncated: boolean;
  /** Tokens before the cut. */
  total: number;
}

export interface PromptLength {
  /** Tokens of the prompt in its chat template, before the cut. */
  count: number;
  /** `MAX_PROMPT_TOKENS` */
  limit: number;
  /** Index, in UTF-16 units, of the first character of the prompt that is not encoded whole; null where all are. */
  cutAt: number | null;
}

export interface Tokenizer {
  /** The prompt as one user message in the model's chat template, generation prompt added, as the text encoder is fed. */
  encodePrompt(prompt: string): EncodedPrompt;
  /** The id that fills prompts up to one length. Throws where the tokenizer names none. */
  padId(): number;
  /** How much of the prompt `encodePrompt` keeps. */
  measurePrompt(prompt: string): PromptLength;
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

/** How an architecture reads prompts. */
export const promptStyles: Readonly<Record<Architecture, PromptStyle>> = {
  'z-image': { thinks: true, isPadded: false },
  klein: { thinks: false, isPadded: true },
};

interface PromptStyle {
  /** Whether the template leaves a thought open. Otherwise it closes an empty one, which adds tokens. */
  thinks: boolean;
  /** Whether all prompts are filled up to the longest. */
  isPadded: boolean;
}

/** A tokenizer over files that are in memory, for Node and browsers. Throws whatever the two libraries throw on files that they do not understand. */
export function createTokenizer({ tokenizer, config, chatTemplate }: TokenizerFiles, { thinks }: PromptStyle): Tokenizer {
  const encoder = new BytePairEncoder(tokenizer, config);
  const template = new Template(chatTemplate);
  const render = (content: string): string => template.render({ messages: [{ role: 'user', content }], add_generation_prompt: true, enable_thinking: thinks });
  const addedTokens = encoder.get_added_tokens_decoder();
  const bytesBeforePrompt = utf8Length(render('\0').split('\0')[0] ?? '');
  // all but the added tokens are written in an alphabet of one letter a byte
  const byteLength = (id: number, token: string): number => (addedTokens.has(id) ? utf8Length(token) : token.length);
  return {
    encodePrompt(prompt) {
      // a lone surrogate has no UTF-8 and so no tokens
      const { ids } = encoder.encode(render(prompt.toWellFormed()));
      return { ids: ids.slice(0, MAX_PROMPT_TOKENS), truncated: ids.length > MAX_PROMPT_TOKENS, total: ids.length };
    },
    padId() {
      const named = config['pad_token'];
      const token = isRecord(named) ? named['content'] : named;
      const id = typeof token === 'string' ? encoder.token_to_id(token) : undefined;
      if (id === undefined) throw new Error(`The tokenizer has no id for its pad_token ${JSON.stringify(named)}.`);
      return id;
    },
    measurePrompt(prompt) {
      const { ids, tokens } = encoder.encode(render(prompt.toWellFormed()));
      let keptBytes = -bytesBeforePrompt;
      for (const [at, id] of ids.slice(0, MAX_PROMPT_TOKENS).entries()) keptBytes += byteLength(id, tokens[at] ?? '');
      const kept = ids.length > MAX_PROMPT_TOKENS ? unitsWithin(prompt, keptBytes) : prompt.length;
      return { count: ids.length, limit: MAX_PROMPT_TOKENS, cutAt: kept === prompt.length ? null : kept };
    },
  };
}

/** How many UTF-16 units of `text`, whole characters only, fit into `bytes` of UTF-8 once normalized (NFC), as these tokenizers do. */
function unitsWithin(text: string, bytes: number): number {
  let [fits, most] = [0, text.length];
  while (fits < most) {
    const middle = Math.ceil((fits + most) / 2);
    if (utf8Length(text.slice(0, middle).normalize('NFC')) <= bytes) fits = middle;
    else most = middle - 1;
  }
  const endsInsidePair = /[\ud800-\udbff]$/.test(text.slice(0, fits)) && fits < text.length;
  return endsInsidePair ? fits - 1 : fits;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
