import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { toWireError } from '#shared/protocol/errors.ts';
import type { PromptLength } from './create-tokenizer.ts';
import type { MeterAnswer, MeterOrder } from './meter-channel.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

const TOKENIZERS_KEPT = 4;
const tokenizers = new Map<string, Promise<Tokenizer>>();

parentPort?.on('message', (order: MeterOrder) => {
  measure(order).then(
    (length) => answer({ id: order.id, length }),
    (thrown: unknown) => answer({ id: order.id, error: toWireError(thrown) }),
  );
});

/** With the checkpoint's tokenizer, which is read once for each content. */
async function measure({ dir, identity, prompt }: MeterOrder): Promise<PromptLength> {
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
}

function answer(message: MeterAnswer): void {
  parentPort?.postMessage(message);
}
