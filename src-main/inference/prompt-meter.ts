import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { createRpcClient, type RpcClient, type RpcContract } from '#main/lib/rpc.ts';
import { type Capabilities, capabilitiesSchema } from '#shared/domain/architecture.ts';
import type { PromptLength } from './create-tokenizer.ts';

export const meterProtocol = {
  calls: {
    measure: {
      /** A prompt for the tokenizer of a checkpoint: its folder, its architecture, and the hash of its content. */
      params: z.object({ dir: z.string(), architecture: capabilitiesSchema.shape.architecture, fingerprint: z.string(), prompt: z.string() }),
      result: z.object({ count: z.number(), limit: z.number(), cutAt: z.number().nullable() }),
      events: {},
    },
  },
  announcements: {},
} satisfies RpcContract;

export interface MeasuredCheckpoint {
  dir: string;
  fingerprint: string;
  capabilities: Pick<Capabilities, 'architecture'>;
}

export interface PromptMeter {
  /** Rejects as `loadTokenizer`. */
  measure(checkpoint: MeasuredCheckpoint, prompt: string): Promise<PromptLength>;
  close(): Promise<void>;
}

/**
 * Measures prompts with the tokenizer of a checkpoint, in a thread of its own that starts with the first one: parsing the 11 MB of a large tokenizer takes a
 * second in which no other request would be answered. If the thread ends, the next call starts another.
 * @param entry Its file, `meter-thread.ts` or what it is built to.
 */
export function createPromptMeter(entry: string): PromptMeter {
  let running: { thread: Worker; client: RpcClient<typeof meterProtocol> } | null = null;

  function start() {
    const thread = new Worker(entry, { execArgv: [] });
    const client = createRpcClient(meterProtocol, (message) => thread.postMessage(message), {});
    let cause: unknown;
    thread.on('message', (message) => client.receive(message));
    thread.on('error', (error) => {
      cause = error;
    });
    thread.on('exit', () => {
      running = null;
      client.close(new Error('The thread that measures prompts ended in the middle of its work.', { cause }));
    });
    // it alone keeps no program running
    thread.unref();
    return { thread, client };
  }

  return {
    measure({ dir, fingerprint, capabilities: { architecture } }, prompt) {
      running ??= start();
      return running.client.call('measure', { dir, architecture, fingerprint, prompt });
    },
    async close() {
      await running?.thread.terminate();
    },
  };
}
