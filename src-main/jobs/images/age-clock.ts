import type { Clock } from '#main/lib/clock.ts';
import type { ProgramState } from '../store/program-state.ts';

/** At most this much of the time between two runs of the program counts, as only the wall clock knows it. */
const LONGEST_PAUSE_MS = 12 * 3_600_000;

/**
 * Time that the program has seen pass, in milliseconds. It measures how long images are in the bin, because the wall clock may jump: a machine without a
 * battery starts in 1970, and one wrong setting must not empty the bin.
 */
export class AgeClock {
  readonly #state: ProgramState;
  readonly #clock: Clock;
  #ageMs: number;
  #readAtMs: number;

  constructor(state: ProgramState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    const pausedMs = clock.now() - numberOr(state.get('age_wall_ms'), clock.now());
    this.#ageMs = numberOr(state.get('age_ms'), 0) + Math.min(Math.max(0, pausedMs), LONGEST_PAUSE_MS);
    this.#readAtMs = clock.monotonicMs();
  }

  now(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#ageMs += Math.max(0, nowMs - this.#readAtMs);
    this.#readAtMs = nowMs;
    return this.#ageMs;
  }

  /** So that the next start goes on from here. */
  save(): void {
    this.#state.set('age_ms', String(this.now()));
    this.#state.set('age_wall_ms', String(this.#clock.now()));
  }
}

function numberOr(text: string | null, fallback: number): number {
  const value = text === null ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : fallback;
}
