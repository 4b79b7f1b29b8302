import type { EngineProgress } from '#main/engine/engine.ts';
import type { JobProgressMessage } from '#shared/protocol/messages.ts';

export type Progress = JobProgressMessage['progress'];

/** `mm:ss`, from one hour on `h:mm:ss`; parts of a second are dropped. */
export function formatDuration(ms: number): string {
  const total = Math.floor(Math.max(0, ms) / 1000);
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const tail = `${String(minutes).padStart(2, '0')}:${String(seconds).padStart(2, '0')}`;
  return hours === 0 ? tail : `${hours}:${tail}`;
}

/** `3.75s/it`, or `4.00it/s` from one step a second on. */
export function formatSpeed(msPerStep: number): string {
  if (msPerStep > 1000) return `${(msPerStep / 1000).toFixed(2)}s/it`;
  return `${(1000 / Math.max(msPerStep, 1e-3)).toFixed(2)}it/s`;
}

/** A step that takes longer than this many usual ones is a pause: the machine slept, or the process was stopped. */
const LONGEST_STEP = 3;

/**
 * Turns the engine's progress into the contract's. The denoising counters keep the original's keys in every stage and never fall, also when the engine runs a
 * task again after a crash. Speed and time left are given only for what was measured: `remaining` is empty before the first step and after the last.
 */
export class ProgressMeter {
  readonly #stepStage: 'generating' | 'upscaling';
  #totalSteps: number;
  #denoisingSinceMs: number;
  #stepAtMs: number;
  #step: number;
  #elapsedMs = 0;
  readonly #stepsMs: number[] = [];

  /** `totalSteps` is null for a job that only upscales: its steps are tiles. `stepsDone` is above 0 for a job that continues at upscaling. */
  constructor(totalSteps: number | null, nowMs: number, stepsDone = 0) {
    this.#stepStage = totalSteps === null ? 'upscaling' : 'generating';
    this.#totalSteps = totalSteps ?? 1;
    this.#denoisingSinceMs = nowMs;
    this.#stepAtMs = nowMs;
    this.#step = stepsDone;
  }

  /** The wait for the device is no part of the denoising time. */
  modelTaken(nowMs: number): void {
    if (this.#step === 0) this.#beginDenoising(nowMs);
  }

  /** How much of the time so far was a pause. */
  get stalledMs(): number {
    return this.#stepsMs.reduce((sum, ms) => sum + ms, 0) - this.#workMs();
  }

  /** `everyStep` marks the messages that may not be left out: one for each denoising step. Null where there is nothing to report yet. */
  read(engine: EngineProgress, nowMs: number): { progress: Progress; everyStep: boolean } | null {
    const { stage } = engine;
    const isUpscaling = this.#stepStage === 'upscaling';
    if (isUpscaling && stage === 'upscaling') this.#totalSteps = Math.max(1, engine.total);
    const isStep = stage === this.#stepStage && engine.done > this.#step;
    if (isStep) {
      this.#step = engine.done;
      this.#elapsedMs = nowMs - this.#denoisingSinceMs;
      this.#stepsMs.push(nowMs - this.#stepAtMs);
      this.#stepAtMs = nowMs;
    } else if (this.#step === 0) {
      this.#beginDenoising(nowMs);
      if (stage === 'generating') return null;
    }
    // N steps are N - 1 forwards; message N follows the last one at once
    const forwards = isUpscaling ? this.#totalSteps : Math.max(1, this.#totalSteps - 1);
    const msPerStep = this.#stepsMs.length === 0 ? null : this.#workMs() / Math.min(this.#step, forwards);
    const fraction = engine.total > 0 ? Math.min(1, Math.max(0, engine.done / engine.total)) : 0;
    const progress: Progress = {
      stage,
      percentage: Math.floor((100 * this.#step) / this.#totalSteps),
      current_step: this.#step,
      total_steps: this.#totalSteps,
      elapsed: formatDuration(this.#elapsedMs),
      remaining: msPerStep === null || stage !== this.#stepStage ? '' : formatDuration((this.#totalSteps - this.#step) * msPerStep),
      speed: msPerStep === null ? '0.00it/s' : formatSpeed(msPerStep),
      type: 'progress',
      ...(isStep && !isUpscaling ? {} : { stage_fraction: fraction }),
    };
    return { progress, everyStep: isStep && !isUpscaling };
  }

  #beginDenoising(nowMs: number): void {
    this.#denoisingSinceMs = nowMs;
    this.#stepAtMs = nowMs;
  }

  /** The time of the steps so far, a pause counted as the longest step that is believable. */
  #workMs(): number {
    const sorted = this.#stepsMs.toSorted((a, b) => a - b);
    const usual = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
    return usual === 0 ? sorted.reduce((sum, ms) => sum + ms, 0) : sorted.reduce((sum, ms) => sum + Math.min(ms, LONGEST_STEP * usual), 0);
  }
}

/** Lets at most one value through in each interval; a held value is sent when the interval ends, unless a newer one replaced it. */
export class Coalescer<T> {
  readonly #intervalMs: number;
  readonly #clock: { monotonicMs(): number; schedule(task: () => void, delayMs: number): () => void };
  readonly #send: (value: T) => void;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #held: { value: T; callOff: () => void } | null = null;

  constructor(intervalMs: number, clock: { monotonicMs(): number; schedule(task: () => void, delayMs: number): () => void }, send: (value: T) => void) {
    this.#intervalMs = intervalMs;
    this.#clock = clock;
    this.#send = send;
  }

  offer(value: T): void {
    const waitMs = this.#sentAtMs + this.#intervalMs - this.#clock.monotonicMs();
    if (waitMs <= 0) this.sendNow(value);
    else if (this.#held !== null) this.#held.value = value;
    else this.#held = { value, callOff: this.#clock.schedule(() => this.#release(), waitMs) };
  }

  /** Whatever the interval; a held value is older and is dropped. */
  sendNow(value: T): void {
    this.drop();
    this.#sentAtMs = this.#clock.monotonicMs();
    this.#send(value);
  }

  drop(): void {
    this.#held?.callOff();
    this.#held = null;
  }

  #release(): void {
    if (this.#held !== null) this.sendNow(this.#held.value);
  }
}
