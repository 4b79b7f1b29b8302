import { AppError } from '#shared/protocol/errors.ts';

/** Model work goes one at a time on each device. Whoever carries on a job comes before whoever begins one, so that a job under way finishes first. */
export type ModelTurn = 'carry_on' | 'begin';

interface Waiter {
  turn: ModelTurn;
  take(): void;
}

export class ModelLock {
  readonly #places: () => number;
  #held = 0;
  readonly #waiters: Waiter[] = [];

  /** `places` may hold it at a time; their number may change. */
  constructor(places: () => number) {
    this.#places = places;
  }

  /** Resolves with the function that gives the lock back (calling it again does nothing). Rejects with `cancelled` when `signal` aborts first. */
  acquire(turn: ModelTurn, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(cancelled());
      const take = () => {
        signal.removeEventListener('abort', giveUp);
        this.#held++;
        resolve(this.#release());
      };
      const waiter: Waiter = { turn, take };
      const giveUp = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(cancelled());
      };
      if (this.#held < this.#places()) return take();
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiters.push(waiter);
    });
  }

  #release(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#held--;
      while (this.#held < this.#places() && this.#waiters.length > 0) {
        const first = this.#waiters.findIndex((waiter) => waiter.turn === 'carry_on');
        const [next] = this.#waiters.splice(Math.max(first, 0), 1);
        next?.take();
      }
    };
  }
}

function cancelled(): AppError<'cancelled'> {
  return new AppError('cancelled', 'The job was cancelled while it waited for the model.', {});
}
