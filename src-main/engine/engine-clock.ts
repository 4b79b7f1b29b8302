import { performance } from 'node:perf_hooks';

/** Time as the engine counts it; the clock of the jobs is one too. */
export interface EngineClock {
  /** Milliseconds of a clock that never jumps. */
  monotonicMs(): number;
  /** Returns the function that calls it off. */
  schedule(task: () => void, delayMs: number): () => void;
}

export const systemClock: EngineClock = {
  monotonicMs: () => performance.now(),
  schedule(task, delayMs) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};
