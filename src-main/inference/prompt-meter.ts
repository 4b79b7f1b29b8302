import { join } from 'node:path';
import type { PromptLength } from './create-tokenizer.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

const TOKENIZERS_KEPT = 4;

/** Measures prompts with the tokenizer of a checkpoint, which is read once for each content. Rejects as `loadTokenizer`. */
export function createPromptMeter(): (checkpoint: { dir: string; identity: string }, prompt: string) => Promise<PromptLength> {
  const tokenizers = new Map<string, Promise<Tokenizer>>();
  return async ({ dir, identity }, prompt) => {
    const tokenizer = tokenizers.get(identity) ?? loadTokenizer(join(dir, 'tokenizer'));
    // set again at the end of the map, so that the first one is the one that was not used for longest
    tokenizers.delete(identity);
    tokenizers.set(identity, tokenizer);
    for (const oldest of tokenizers.keys()) if (tokenizers.size > TOKENIZERS_KEPT) tokenizers.delete(oldest);
    try {
      return (await tokenizer).measurePrompt(prompt);
    } catch (thrown) {
      tokenizers.delete(identity);
      throw thrown;
    }
  };
}
