import type { StatusTimes } from '../events/subscriptions.ts';
import type { StoredJob } from '../store/stored-job.ts';
import { imageKindOf, type MeasuredWork, type TimingRepository } from '../store/timing-repository.ts';
import type { JobQueue } from './job-queue.ts';

/** A running job, as far as the time until its end depends on it. */
export interface RunningJob {
  readonly job: StoredJob;
  stage: 'generate' | 'upscale';
  /** This stage's model work: how much was done at the last step, 0 to 1, and when that was. A sleep of the machine counts until the next step at most. */
  model: 'waiting' | 'done' | { fraction: number; atMs: number };
}

/** Waiting times and times left, from what earlier images of the same kind took. An unmeasured kind gives no times. */
export class Estimate {
  readonly #timings: TimingRepository;
  readonly #queue: JobQueue;
  readonly #running: ReadonlyMap<string, RunningJob>;
  readonly #deviceCount: () => number;
  readonly #monotonicMs: () => number;
  readonly #work = new Map<string, MeasuredWork | null>();
  /** Model work before each waiting job, for one order of the queue. */
  #msBefore: { jobs: readonly StoredJob[]; sums: (number | null)[] } = { jobs: [], sums: [] };

  constructor(timings: TimingRepository, queue: JobQueue, running: ReadonlyMap<string, RunningJob>, deviceCount: () => number, monotonicMs: () => number) {
    this.#timings = timings;
    this.#queue = queue;
    this.#running = running;
    this.#deviceCount = deviceCount;
    this.#monotonicMs = monotonicMs;
  }

  /** Position and times of a waiting job, time left of a running one; empty for others. */
  times(jobId: string, isPaused: boolean): StatusTimes {
    const runs = [...this.#running.values()];
    const runAt = runs.findIndex(({ job }) => job.jobId === jobId);
    const run = runs[runAt];
    if (run !== undefined) {
      const before = this.#sharedMs(runs.slice(0, runAt).map((other) => this.#modelMsLeft(other)));
      const leftMs = totalMs([before, this.#modelMsLeft(run), this.#workOf(run.job)?.writeMs ?? null]);
      return leftMs === null ? {} : { eta_ms: Math.round(leftMs) };
    }
    const at = this.#queue.indexOf(jobId);
    const waiting = this.#queue.jobs[at];
    if (waiting === undefined) return {};
    const position = at + 1;
    if (isPaused) return { position };
    const waitMs = this.#sharedMs([...runs.map((other) => this.#modelMsLeft(other)), this.#modelMsBefore(at)]);
    const ownMs = totalMs([this.#modelMs(waiting), this.#workOf(waiting)?.writeMs ?? null]);
    return waitMs === null || ownMs === null ? { position } : { position, wait_ms: Math.round(waitMs), eta_ms: Math.round(waitMs + ownMs) };
  }

  /** Time until a running job ends and another can start, or null where that was never measured. */
  msUntilNextStart(): number | null {
    const left = [...this.#running.values()].map((run) => this.#modelMsLeft(run)).filter((ms) => ms !== null);
    return left.length === 0 || left.length < this.#running.size ? null : Math.min(...left);
  }

  /** After a new measurement. */
  forgetMeasured(): void {
    this.#work.clear();
    this.#msBefore = { jobs: [], sums: [] };
  }

  /** How long this model work takes on all devices together. */
  #sharedMs(parts: (number | null)[]): number | null {
    const ms = totalMs(parts);
    return ms === null ? null : ms / this.#deviceCount();
  }

  #workOf(job: StoredJob): MeasuredWork | null {
    const kind = imageKindOf(job);
    const key = JSON.stringify(kind);
    let work = this.#work.get(key);
    if (work === undefined) {
      work = this.#timings.of(kind);
      this.#work.set(key, work);
    }
    return work;
  }

  #modelMs(job: StoredJob): number | null {
    const work = this.#workOf(job);
    return work === null ? null : work.generateMs + work.upscaleMs;
  }

  #modelMsBefore(at: number): number | null {
    const { jobs } = this.#queue;
    if (this.#msBefore.jobs !== jobs) {
      let sum: number | null = 0;
      const sums = jobs.map((job) => {
        const before = sum;
        sum = totalMs([sum, this.#modelMs(job)]);
        return before;
      });
      this.#msBefore = { jobs, sums };
    }
    return this.#msBefore.sums[at] ?? null;
  }

  #modelMsLeft({ job, stage, model }: RunningJob): number | null {
    const work = this.#workOf(job);
    if (work === null) return null;
    const whole = stage === 'generate' ? work.generateMs : work.upscaleMs;
    const { fraction, atMs } = typeof model === 'object' ? model : { fraction: model === 'done' ? 1 : 0, atMs: this.#monotonicMs() };
    const left = Math.max(0, whole * (1 - fraction) - (this.#monotonicMs() - atMs));
    return stage === 'generate' ? left + work.upscaleMs : left;
  }
}

/** The sum, or null when a part was never measured. */
function totalMs(parts: Iterable<number | null>): number | null {
  let total = 0;
  for (const ms of parts) {
    if (ms === null) return null;
    total += ms;
  }
  return total;
}
