import type { Clock } from '#main/lib/clock.ts';

/** A clock that stands still until a test advances it. */
export class HandClock implements Clock {
  ms = new Date(2026, 1, 4, 12).getTime();
  #timers: { atMs: number; task: () => void }[] = [];

  now = (): number => this.ms;
  monotonicMs = (): number => this.ms;

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.length;
  }

  schedule(task: () => void, delayMs: number): () => void {
    const timer = { atMs: this.ms + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    this.ms += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.ms);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.ms);
    for (const { task } of due) task();
  }
}
