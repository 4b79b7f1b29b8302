import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';

/** When a door keeps a waiting connection alive. */
export interface DoorTiming {
  /** An answer without a stream begins with headers after this time: some clients end a request that has none after 300 s. */
  headersAfterMs: number;
  /** Between signs of life. */
  keepAliveMs: number;
}

export const defaultDoorTiming: DoorTiming = { headersAfterMs: 240_000, keepAliveMs: 15_000 };

/**
 * Answers with the JSON text that `write` gives for the outcome. A long wait begins the answer early and fills it with white space, which JSON allows. A
 * failure after that cuts the connection, since status 200 with an error inside would be taken for a success.
 */
export async function sendWhenDone<T>(
  reply: FastifyReply,
  outcome: Promise<T>,
  { write, timing, onLateFailure }: { write: (value: T) => AsyncIterable<string>; timing: DoorTiming; onLateFailure: (reason: unknown) => void },
): Promise<FastifyReply> {
  const timer = new AbortController();
  const isLate = await Promise.race([outcome.then(() => false), delay(timing.headersAfterMs, true, { signal: timer.signal, ref: false })]);
  timer.abort();
  reply.type('application/json; charset=utf-8').header('cache-control', 'no-store');
  if (!isLate) return reply.send(Readable.from(write(await outcome)));
  const late = async function* (): AsyncGenerator<string> {
    try {
      yield* aliveUntil(outcome, ' ', timing.keepAliveMs);
      yield* write(await outcome);
    } catch (reason) {
      onLateFailure(reason);
      throw reason;
    }
  };
  return reply.send(Readable.from(late()));
}

/** Yields `sign` now and every `everyMs` until the promise settles. */
async function* aliveUntil(promise: Promise<unknown>, sign: string, everyMs: number): AsyncGenerator<string> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  do yield sign;
  while (!(await settledWithin(settled, everyMs)));
}

/** False after `timeMs`. The promise must not reject. */
async function settledWithin(promise: Promise<boolean>, timeMs: number): Promise<boolean> {
  const timer = new AbortController();
  const isSettled = await Promise.race([promise, delay(timeMs, false, { signal: timer.signal, ref: false })]);
  timer.abort();
  return isSettled;
}

/** Server-sent events and signs of life through one writer, so that a comment never stands inside an event. */
export async function* eventStream(events: EventQueue, keepAliveMs: number): AsyncGenerator<string> {
  while (true) {
    const next = events.next();
    // one newline: an empty line behind a comment makes an empty event in some clients
    while (
      !(await settledWithin(
        next.then(() => true),
        keepAliveMs,
      ))
    )
      yield ': keep-alive\n';
    const event = await next;
    if (event === null) return;
    yield* event;
  }
}

/** Events in parts, in their order. `null` is the end. */
export class EventQueue {
  readonly #events: (AsyncIterable<string> | Iterable<string> | null)[] = [];
  #wake: () => void = () => {};

  push(event: AsyncIterable<string> | Iterable<string> | null): void {
    this.#events.push(event);
    this.#wake();
  }

  async next(): Promise<AsyncIterable<string> | Iterable<string> | null> {
    if (this.#events.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#events.shift() ?? null;
  }
}
