import { join } from 'node:path';
import { answerOrders } from '#main/lib/answer-orders.ts';
import type { PromptLength } from './create-tokenizer.ts';
import type { MeterOrder } from './prompt-meter.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

const TOKENIZERS_KEPT = 4;
const tokenizers = new Map<string, Promise<Tokenizer>>();

answerOrders(measure);

/** With the checkpoint's tokenizer, which is read once for each content. */
async function measure({ dir, fingerprint, prompt }: MeterOrder): Promise<PromptLength> {
  const tokenizer = tokenizers.get(fingerprint) ?? loadTokenizer(join(dir, 'tokenizer'));
  // set again at the end of the map, so that the first one is the one that was not used for longest
  tokenizers.delete(fingerprint);
  tokenizers.set(fingerprint, tokenizer);
  for (const oldest of tokenizers.keys()) if (tokenizers.size > TOKENIZERS_KEPT) tokenizers.delete(oldest);
  try {
    return (await tokenizer).measurePrompt(prompt);
  } catch (thrown) {
    tokenizers.delete(fingerprint);
    throw thrown;
  }
}
