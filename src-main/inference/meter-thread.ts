import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { createRpcServer, type RpcParams } from '#main/lib/rpc.ts';
import type { PromptLength } from './create-tokenizer.ts';
import { meterProtocol } from './prompt-meter.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

const TOKENIZERS_KEPT = 4;
const tokenizers = new Map<string, Promise<Tokenizer>>();

const server = createRpcServer(meterProtocol, (message) => parentPort?.postMessage(message), { measure });
parentPort?.on('message', (message) => server.receive(message));

/** With the checkpoint's tokenizer, which is read once for each content. */
async function measure({ dir, architecture, fingerprint, prompt }: RpcParams<typeof meterProtocol, 'measure'>): Promise<PromptLength> {
  const tokenizer = tokenizers.get(fingerprint) ?? loadTokenizer(join(dir, 'tokenizer'), architecture);
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
