import { Worker } from 'node:worker_threads';
import { fromWireError } from '#shared/protocol/errors.ts';
import type { PromptLength } from './create-tokenizer.ts';
import type { MeterAnswer, MeterOrder } from './meter-channel.ts';

export interface PromptMeter {
  /** Rejects as `loadTokenizer`. */
  measure(checkpoint: { dir: string; identity: string }, prompt: string): Promise<PromptLength>;
  close(): Promise<void>;
}

/**
 * Measures prompts with the tokenizer of a checkpoint, in a thread of its own that starts with the first one: parsing the 11 MB of a large tokenizer takes a
 * second in which no other request would be answered. Should the thread end all the same, a later call starts another.
 * @param entry Its file, `meter-thread.ts` or what it is built to.
 */
export function createPromptMeter(entry: string): PromptMeter {
  let running: MeterThread | null = null;
  let nextId = 1;
  return {
    measure({ dir, identity }, prompt) {
      running ??= startThread(entry, () => {
        running = null;
      });
      return running.ask({ id: nextId++, dir, identity, prompt });
    },
    async close() {
      await running?.end();
    },
  };
}

interface MeterThread {
  ask(order: MeterOrder): Promise<PromptLength>;
  end(): Promise<unknown>;
}

function startThread(entry: string, onEnd: () => void): MeterThread {
  const waiting = new Map<number, { resolve(length: PromptLength): void; reject(error: Error): void }>();
  const thread = new Worker(entry, { execArgv: [] });
  let cause: unknown;
  thread.on('message', (answer: MeterAnswer) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) asked?.reject(fromWireError(answer.error));
    else asked?.resolve(answer.length);
  });
  thread.on('error', (error) => {
    cause = error;
  });
  thread.on('exit', () => {
    onEnd();
    for (const { reject } of waiting.values()) reject(new Error('The thread that measures prompts ended in the middle of its work.', { cause }));
    waiting.clear();
  });
  // it alone keeps no program running
  thread.unref();
  return {
    ask: (order) => {
      thread.postMessage(order);
      return new Promise((resolve, reject) => waiting.set(order.id, { resolve, reject }));
    },
    end: () => thread.terminate(),
  };
}
