import type { Engine } from '#main/engine/engine.ts';
import type { Clock } from '#main/lib/clock.ts';
import type { Checkpoint, ModelRegistry, Upscaler } from '#main/models/checkpoint.ts';
import type { JobEvent } from '#shared/domain/job.ts';
import { AppError, toWireError, type WireError } from '#shared/protocol/errors.ts';
import type { DomainEvent } from '../events/domain-event.ts';
import type { StatusTimes, Subscriptions } from '../events/subscriptions.ts';
import type { ImageFolders } from '../images/image-folders.ts';
import type { InputImages } from '../input-images.ts';
import type { JobsLog } from '../jobs.ts';
import { Estimate } from '../queue/estimate.ts';
import { JobQueue } from '../queue/job-queue.ts';
import type { Store } from '../store/store.ts';
import type { StoredJob } from '../store/stored-job.ts';
import type { CommitListener, UnitOfWork } from '../store/unit-of-work.ts';
import { type ImagePixels, JobRun } from './job-run.ts';
import { ModelPaths } from './model-paths.ts';

const TRY_AGAIN_MS = 5000;
/** Between attempts to save a finished image's state. */
const SAVE_AGAIN_MS = 1000;

export interface ProcessorParts {
  store: Store;
  subscriptions: Subscriptions;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  engine: Engine;
  registry: ModelRegistry;
  inputs: InputImages;
  clock: Clock;
  log: JobsLog;
  programVersion: string;
  runningLimit: number;
  isOwnWindow: (requester: string) => boolean;
  windowsFirst: () => boolean;
  /** Whether images get the marks of an AI image; may answer differently at any time. */
  marksImages: () => boolean;
  /** A job no longer runs, for whatever reason. */
  onEnded: () => void;
}

/**
 * Starts pending jobs in their order, at most `runningLimit` at a time and only while the engine has capacity. The engine decides which task has a device.
 */
export class JobProcessor implements CommitListener {
  readonly #parts: ProcessorParts;
  readonly #queue: JobQueue;
  readonly #running = new Map<string, JobRun>();
  /** Cancelled runs that have not come back from the engine. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #estimate: Estimate;
  readonly #models: ModelPaths;
  #lastPrepared: Promise<unknown> = Promise.resolve();
  #paused: boolean;
  #closing = false;

  constructor(parts: ProcessorParts) {
    this.#parts = parts;
    const { engine, store, clock } = parts;
    this.#queue = new JobQueue(parts.isOwnWindow, parts.windowsFirst);
    this.#estimate = new Estimate(
      store.timings,
      this.#queue,
      this.#running,
      () => engine.deviceCount(),
      () => clock.monotonicMs(),
    );
    this.#models = new ModelPaths(parts.registry);
    this.#paused = store.state.get('paused') === 'true';
    engine.onCapacity(() => this.startWaiting());
  }

  get waitingCount(): number {
    return this.#queue.size;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Ids of the pending jobs in the order in which they will start. */
  waitingIds(): string[] {
    return this.#queue.jobs.map(({ jobId }) => jobId);
  }

  /** 1 is next; null for a job that does not wait. */
  positionOf(jobId: string): number | null {
    const at = this.#queue.indexOf(jobId);
    return at === -1 ? null : at + 1;
  }

  times(jobId: string): StatusTimes {
    return this.#estimate.times(jobId, this.#paused);
  }

  msUntilNextStart(): number | null {
    return this.#estimate.msUntilNextStart();
  }

  /** The models of a job that is being accepted, so that they need not be looked up again when it runs. */
  noteModels(checkpoint: Checkpoint | null, upscaler: Upscaler | null): void {
    this.#models.note(checkpoint, upscaler);
  }

  /** A pending job found at the start. `startWaiting` lets it begin. */
  enqueue(job: StoredJob): void {
    this.#queue.set(job);
  }

  /** A job found in `processing` or `generated` at the start. */
  resume(job: StoredJob): void {
    this.#begin(job, job.state.status === 'generated' ? 'upscale' : 'generate');
  }

  onCommitted(events: readonly DomainEvent[]): void {
    for (const event of events) {
      if (event.type === 'jobs_moved') for (const job of event.jobs) this.#queue.set(job);
      if (event.type === 'job_changed') this.#follow(event.job);
    }
  }

  startWaiting(): void {
    const { runningLimit, engine } = this.#parts;
    while (!this.#paused && !this.#closing && this.#running.size < runningLimit && engine.hasCapacity()) {
      const [next] = this.#queue.jobs;
      if (next === undefined || !this.#start(next)) return;
    }
  }

  async setPaused(paused: boolean): Promise<void> {
    await this.#parts.unitOfWork.commitSoon(() => this.#parts.store.state.set('paused', String(paused)));
    this.#paused = paused;
    this.startWaiting();
  }

  /** Puts a pending job before another, or last, and keeps the order of that moment for all that wait now. False when one of the two does not wait. */
  async move(jobId: string, before: string | null): Promise<boolean> {
    if (!this.#queue.has(jobId) || before === jobId || (before !== null && !this.#queue.has(before))) return false;
    await this.#parts.unitOfWork.commitSoon((events) => {
      const moved = this.#queue.jobs.filter((job) => job.jobId === jobId);
      const order = this.#queue.jobs.filter((job) => job.jobId !== jobId);
      const at = order.findIndex((job) => job.jobId === before);
      order.splice(at === -1 ? order.length : at, 0, ...moved);
      events.push({ type: 'jobs_moved', jobs: order.map((job, place) => this.#parts.store.jobs.setPlace(job.jobId, place)) });
    });
    return true;
  }

  /** See `Jobs.close`. */
  async close(how: 'park' | 'now'): Promise<void> {
    this.#closing = true;
    const unsettled = [...this.#leaving.values()];
    for (const run of this.#running.values()) {
      unsettled.push(run.finished);
      run.progress.drop();
      if (how === 'now' || run.model !== 'done') run.controller.abort();
    }
    if (how === 'now') this.#running.clear();
    else await Promise.all(unsettled);
  }

  #follow(job: StoredJob): void {
    switch (job.state.status) {
      case 'pending':
        this.#queue.set(job);
        break;
      case 'processing':
        this.#queue.remove(job.jobId);
        this.#queue.noteServed(job.requester);
        this.#begin(job, 'generate');
        break;
      case 'cancelled':
        this.#drop(job.jobId);
    }
  }

  /** Takes a cancelled job out of the queue, or stops its run within one step of the model. */
  #drop(jobId: string): void {
    this.#queue.remove(jobId);
    const run = this.#running.get(jobId);
    if (run === undefined) return;
    this.#running.delete(jobId);
    run.progress.drop();
    this.#leaving.set(jobId, run.finished);
    run.controller.abort();
  }

  /** False when the start could not be saved; it is tried again later. */
  #start(waiting: StoredJob): boolean {
    const { unitOfWork, clock, log } = this.#parts;
    try {
      unitOfWork.commit((events) => unitOfWork.apply(waiting, { type: 'started' }, events));
      return true;
    } catch (thrown) {
      log.error({ err: thrown, job_id: waiting.jobId }, 'a job could not be started; the next attempt follows in five seconds');
      clock.schedule(() => this.startWaiting(), TRY_AGAIN_MS);
      return false;
    }
  }

  #begin(job: StoredJob, stage: 'generate' | 'upscale'): void {
    const run: JobRun = new JobRun(job, stage, {
      ...this.#parts,
      models: this.#models,
      isCurrent: () => this.#running.get(job.jobId) === run,
      isClosing: () => this.#closing,
      inOrder: (prepare) => this.#inOrder(prepare),
      save: (event, pixels) => this.#save(job.jobId, event, pixels),
      onMeasured: () => this.#estimate.forgetMeasured(),
    });
    this.#running.set(job.jobId, run);
    run.finished = this.#finish(run, this.#leaving.get(job.jobId));
  }

  async #finish(run: JobRun, earlierRun: Promise<void> | undefined): Promise<void> {
    const { jobId } = run.job;
    try {
      if (earlierRun !== undefined) await earlierRun;
      await run.takeToEnd();
    } catch (thrown) {
      this.#fail(run, thrown);
    } finally {
      run.progress.drop();
      if (this.#running.get(jobId) === run) this.#running.delete(jobId);
      if (this.#leaving.get(jobId) === run.finished) this.#leaving.delete(jobId);
      this.#parts.onEnded();
      this.startWaiting();
    }
  }

  /** Jobs reach the engine in the order in which they were started, however long each takes to prepare. */
  #inOrder<T>(prepare: () => Promise<T>): Promise<T> {
    const prepared = this.#lastPrepared.then(prepare);
    this.#lastPrepared = prepared.catch(() => undefined); // reported by its own run
    return prepared;
  }

  /** Saves the next state of a job whose image is on the disk: tried until the database takes it, so that the image is not lost for a lock. Null where the job was cancelled meanwhile. */
  async #save(jobId: string, event: JobEvent, pixels: ImagePixels | null): Promise<StoredJob | null> {
    const { clock, log } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#apply(jobId, event, pixels);
      } catch (thrown) {
        // the next start takes over the image
        if (this.#closing || !isDatabaseError(thrown)) throw thrown;
        if (attempt === 1)
          log.error({ err: thrown, job_id: jobId }, 'an image is finished, but its state could not be saved; the attempt is repeated every second');
        await new Promise<void>((resolve) => clock.schedule(resolve, SAVE_AGAIN_MS));
      }
    }
  }

  #apply(jobId: string, event: JobEvent, pixels: ImagePixels | null = null): StoredJob | null {
    const { unitOfWork, store } = this.#parts;
    return unitOfWork.commit((events) => {
      const job = store.jobs.byId(jobId);
      const changed = job === null ? null : unitOfWork.apply(job, event, events);
      if (changed !== null && pixels !== null) store.pixels.set(jobId, pixels.role, pixels.sha256);
      return changed;
    });
  }

  #fail(run: JobRun, thrown: unknown): void {
    const { log } = this.#parts;
    const { jobId } = run.job;
    // cancelled by its last client, or parked: the row already has the right state
    if (this.#running.get(jobId) !== run || run.controller.signal.aborted) return;
    const error = toWireError(thrown);
    if (error.code === 'shutting_down') return;
    log.error({ err: thrown, job_id: jobId, code: error.code }, 'a job failed');
    this.#saveFailure(jobId, error);
  }

  /** Tried until the disk takes it: a job without a run must not stay in `processing`. */
  #saveFailure(jobId: string, error: WireError): void {
    const { clock, log } = this.#parts;
    // the next start runs it again
    if (this.#closing) return;
    try {
      this.#apply(jobId, { type: 'failed', error });
    } catch (cause) {
      log.error({ err: cause, job_id: jobId }, 'a failure could not be written down; the next attempt follows in five seconds');
      clock.schedule(() => this.#saveFailure(jobId, error), TRY_AGAIN_MS);
    }
  }
}

function isDatabaseError(thrown: unknown): boolean {
  return thrown instanceof AppError && ['database_busy', 'disk_full', 'disk_failed'].includes(thrown.code);
}
