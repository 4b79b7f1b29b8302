import { parentPort } from 'node:worker_threads';
import { toWireError } from '#shared/protocol/errors.ts';
import type { Answer, Ask } from './asking-thread.ts';

/** The thread's side of `startAskingThread`: `serve` gets each order as it comes. */
export function answerOrders<Order, Reply>(serve: (order: Order) => Promise<Reply>): void {
  const answer = (message: Answer<Reply>): void => parentPort?.postMessage(message);
  parentPort?.on('message', ({ id, order }: Ask<Order>) => {
    serve(order).then(
      (reply) => answer({ id, reply }),
      (thrown: unknown) => answer({ id, error: toWireError(thrown) }),
    );
  });
}
