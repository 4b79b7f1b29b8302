import { type ResourceLimits, Worker } from 'node:worker_threads';
import { fromWireError, type WireError } from '#shared/protocol/errors.ts';

/** What goes to the thread and comes back; both ends are one process, so nothing is checked again. */
export interface Ask<Order> {
  id: number;
  order: Order;
}
export type Answer<Reply> = { id: number; reply: Reply } | { id: number; error: WireError };

/** A thread that answers orders, each on its own (`answerOrders`). */
export interface AskingThread<Order, Reply> {
  /** How many orders it has not answered yet. */
  load(): number;
  /** Rejects with what was thrown there, or when the thread ends. */
  ask(order: Order, transferred?: ArrayBuffer[]): Promise<Reply>;
  end(): Promise<unknown>;
}

/**
 * Starts one; it alone keeps no program running. `onEnd` is told once it has ended, however that came.
 * @param entry Its file.
 * @param task What it does, for the sentence of its end: `works on pictures`.
 */
export function startAskingThread<Order, Reply>(
  entry: string,
  task: string,
  onEnd: () => void,
  resourceLimits: ResourceLimits = {},
): AskingThread<Order, Reply> {
  const waiting = new Map<number, { resolve(reply: Reply): void; reject(error: Error): void }>();
  const thread = new Worker(entry, { execArgv: [], resourceLimits });
  let nextId = 1;
  let cause: unknown;
  thread.on('message', (answer: Answer<Reply>) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) asked?.reject(fromWireError(answer.error));
    else asked?.resolve(answer.reply);
  });
  thread.on('error', (error) => {
    cause = error;
  });
  thread.on('exit', () => {
    onEnd();
    for (const { reject } of waiting.values()) reject(new Error(`The thread that ${task} ended in the middle of its work.`, { cause }));
    waiting.clear();
  });
  thread.unref();
  return {
    load: () => waiting.size,
    ask: (order, transferred = []) => {
      const asked: Ask<Order> = { id: nextId++, order };
      thread.postMessage(asked, transferred);
      return new Promise((resolve, reject) => waiting.set(asked.id, { resolve, reject }));
    },
    end: () => thread.terminate(),
  };
}
