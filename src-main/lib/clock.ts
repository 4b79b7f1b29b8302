/** Time for durations and timers; tests pass their own. */
export interface MonotonicClock {
  /** Milliseconds that never decrease. */
  monotonicMs(): number;
  /** Calls `task` once after `delayMs`; the returned function cancels it. */
  schedule(task: () => void, delayMs: number): () => void;
}

export interface Clock extends MonotonicClock {
  /** Unix time in milliseconds. */
  now(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(task, delayMs) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};
