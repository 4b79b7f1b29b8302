/** How often a process that keeps dying is started again. Times are milliseconds of one monotonic clock. */
export interface RestartLimits {
  /** Restarts within `windowMs`; one more death and there is no restart until the window has passed. */
  maxRestarts: number;
  windowMs: number;
  /** Wait before the first, second … restart of the window; the last one repeats. */
  backoffMs: readonly number[];
}

/** Counts deaths in a sliding window. */
export class RestartBudget {
  #deaths: number[] = [];
  readonly #limits: RestartLimits;

  constructor(limits: RestartLimits) {
    this.#limits = limits;
  }

  recordDeath(now: number): void {
    this.#deaths.push(now);
  }

  /** How long to wait before the next start: 0 without a recent death, `spent` true where this is the wait for the window to pass. */
  nextStart(now: number): { waitMs: number; spent: boolean } {
    const { maxRestarts, windowMs, backoffMs } = this.#limits;
    this.#deaths = this.#deaths.filter((at) => now - at < windowMs);
    const count = this.#deaths.length;
    const last = this.#deaths.at(-1);
    if (last === undefined) return { waitMs: 0, spent: false };
    const blocking = this.#deaths[count - 1 - maxRestarts];
    if (blocking !== undefined) return { waitMs: blocking + windowMs - now, spent: true };
    const backoff = backoffMs[Math.min(count, backoffMs.length) - 1] ?? 0;
    return { waitMs: Math.max(0, last + backoff - now), spent: false };
  }
}
