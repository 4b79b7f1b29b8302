import type { Engine, EngineHooks, EnginePreview, TaskReport } from '#main/engine/engine.ts';
import { encodePng } from '#main/lib/png.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import type { SettingsFile } from '#main/settings/settings-file.ts';
import type { JobEvent } from '#shared/domain/job.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError, toWireError, type WireError } from '#shared/protocol/errors.ts';
import { Coalescer, type Progress, ProgressMeter } from '../events/progress.ts';
import type { StatusTimes, Subscriptions } from '../events/subscriptions.ts';
import { upscaledFileName } from '../images/file-name.ts';
import type { ImageFolders } from '../images/image-folders.ts';
import type { Clock, JobsLog } from '../jobs.ts';
import { type MeasuredWork, totalMs } from '../queue/estimate.ts';
import { JobQueue } from '../queue/job-queue.ts';
import { imageKindOf, type Store, type StoredJob } from '../store/store.ts';
import type { UnitOfWork } from '../store/unit-of-work.ts';
import { recipeTexts } from './recipe-texts.ts';

const PROGRESS_INTERVAL_MS = 100;
const TRY_AGAIN_MS = 5000;

export interface ProcessorParts {
  store: Store;
  subscriptions: Subscriptions;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  engine: Engine;
  registry: ModelRegistry;
  clock: Clock;
  log: JobsLog;
  programVersion: string;
  runningLimit: number;
  isOwnWindow: (owner: string) => boolean;
  settings: SettingsFile;
  /** A job has left the running ones, for whatever reason. */
  onEnded: () => void;
}

type Stage = 'generate' | 'upscale';

/** A job in `processing` or `generated` at work. */
interface Run {
  readonly job: StoredJob;
  readonly controller: AbortController;
  readonly progress: Coalescer<Progress>;
  stage: Stage;
  /** Where this stage's model work stands. */
  model: 'to_come' | 'done' | { sinceMs: number };
  finished: Promise<void>;
}

/**
 * Starts waiting jobs in their order, at most `runningLimit` at a time and only while the engine has capacity, and takes each to its end. The engine decides
 * which task has a device.
 */
export class JobProcessor {
  readonly #parts: ProcessorParts;
  readonly #waiting: JobQueue;
  readonly #running = new Map<string, Run>();
  /** Runs that were cancelled and have not come back from the engine. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #work = new Map<string, MeasuredWork | null>();
  /** Model work before each waiting job, for the order that it was added up for. */
  #msAhead: { jobs: readonly StoredJob[]; sums: (number | null)[] } = { jobs: [], sums: [] };
  #paused: boolean;
  #closing = false;

  constructor(parts: ProcessorParts) {
    this.#parts = parts;
    this.#waiting = new JobQueue(parts.isOwnWindow, () => parts.settings.settings.window_jobs_first);
    this.#paused = parts.store.setting('paused') === 'true';
    parts.engine.onCapacity(() => this.startWaiting());
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** A job in `pending`, already committed. `startWaiting` lets it begin. */
  enqueue(job: StoredJob): void {
    this.#waiting.set(job);
  }

  /** A job found in `processing` or `generated` at the start. */
  resume(job: StoredJob): void {
    this.#begin(job, job.state.status === 'generated' ? 'upscale' : 'generate');
  }

  startWaiting(): void {
    while (!this.#paused && !this.#closing && this.#running.size < this.#parts.runningLimit && this.#parts.engine.hasCapacity()) {
      const [next] = this.#waiting.jobs;
      if (next === undefined || !this.#start(next)) return;
    }
  }

  /** After the commit of a cancellation: takes the job out of the queue, or stops its run within one step of the model. */
  drop(jobId: string): void {
    this.#waiting.remove(jobId);
    const run = this.#running.get(jobId);
    if (run === undefined) return;
    this.#running.delete(jobId);
    run.progress.drop();
    this.#leaving.set(jobId, run.finished);
    run.controller.abort();
  }

  setPaused(paused: boolean): void {
    this.#parts.store.setSetting('paused', String(paused));
    this.#paused = paused;
    this.startWaiting();
  }

  /** Puts a waiting job before another, or last. The order of that moment is kept for all that wait now. False where either does not wait. */
  move(jobId: string, before: string | null): boolean {
    if (!this.#waiting.has(jobId) || before === jobId || (before !== null && !this.#waiting.has(before))) return false;
    const moved = this.#waiting.jobs.filter((job) => job.jobId === jobId);
    const order = this.#waiting.jobs.filter((job) => job.jobId !== jobId);
    const at = before === null ? order.length : order.findIndex((job) => job.jobId === before);
    order.splice(at, 0, ...moved);
    this.#parts.unitOfWork.commit((afterCommit) => {
      for (const [place, job] of order.entries()) {
        this.#parts.store.setPlace(job.jobId, place);
        afterCommit(() => this.#waiting.set({ ...job, place }));
      }
    });
    return true;
  }

  /** Ids of the waiting jobs in the order in which they will start. */
  waitingIds(): string[] {
    return this.#waiting.jobs.map(({ jobId }) => jobId);
  }

  /** Place and times of a waiting job, time left of a running one; empty for others, and without times until such a picture was measured here. */
  times(jobId: string): StatusTimes {
    const runs = [...this.#running.values()];
    const runAt = runs.findIndex(({ job }) => job.jobId === jobId);
    const run = runs[runAt];
    if (run !== undefined) {
      const before = this.#sharedMs(runs.slice(0, runAt).map((other) => this.#modelMsLeft(other)));
      const leftMs = totalMs([before, this.#modelMsLeft(run), this.#workOf(run.job)?.writeMs ?? null]);
      return leftMs === null ? {} : { eta_ms: Math.round(leftMs) };
    }
    const at = this.#waiting.indexOf(jobId);
    const waiting = this.#waiting.jobs[at];
    if (waiting === undefined) return {};
    const position = at + 1;
    if (this.#paused) return { position };
    const waitMs = this.#sharedMs([...runs.map((other) => this.#modelMsLeft(other)), this.#modelMsBefore(at)]);
    const ownMs = totalMs([this.#modelMs(waiting), this.#workOf(waiting)?.writeMs ?? null]);
    return waitMs === null || ownMs === null ? { position } : { position, wait_ms: Math.round(waitMs), eta_ms: Math.round(waitMs + ownMs) };
  }

  /** How long this model work takes on all devices together. */
  #sharedMs(parts: (number | null)[]): number | null {
    const ms = totalMs(parts);
    return ms === null ? null : ms / this.#parts.engine.deviceCount();
  }

  /** Time until a place in the queue is free, or null where that was never measured. */
  msUntilNextStart(): number | null {
    const left = [...this.#running.values()].map((run) => this.#modelMsLeft(run)).filter((ms) => ms !== null);
    return left.length === 0 || left.length < this.#running.size ? null : Math.min(...left);
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

  /** False where the start could not be written down; it is tried again later. */
  #start(waiting: StoredJob): boolean {
    const { unitOfWork, clock, log } = this.#parts;
    const { jobId, owner } = waiting;
    try {
      unitOfWork.commit((afterCommit) => {
        let started: StoredJob | null = null;
        afterCommit(() => {
          this.#waiting.remove(jobId);
          this.#waiting.noteServed(owner);
          if (started !== null) this.#begin(started, 'generate');
        });
        started = unitOfWork.apply(waiting, { type: 'started' }, afterCommit, () => this.times(jobId));
      });
      return true;
    } catch (thrown) {
      log.error({ err: thrown, job_id: jobId }, 'a job could not be started; the next attempt follows in five seconds');
      clock.schedule(() => this.startWaiting(), TRY_AGAIN_MS);
      return false;
    }
  }

  #begin(job: StoredJob, stage: Stage): void {
    const { clock, subscriptions, log } = this.#parts;
    const progress = new Coalescer<Progress>(PROGRESS_INTERVAL_MS, clock, (value) => {
      try {
        subscriptions.sendProgress(job.jobId, value);
      } catch (thrown) {
        // the engine is not to be disturbed by a message that cannot be numbered
        log.warn({ err: thrown, job_id: job.jobId }, 'progress could not be sent');
      }
    });
    const run: Run = { job, controller: new AbortController(), progress, stage, model: 'to_come', finished: Promise.resolve() };
    this.#running.set(job.jobId, run);
    run.finished = this.#takeToEnd(run, this.#leaving.get(job.jobId));
  }

  async #takeToEnd(run: Run, earlierRun: Promise<void> | undefined): Promise<void> {
    const { jobId } = run.job;
    try {
      await earlierRun;
      const meter = new ProgressMeter(run.job.params.steps, this.#parts.clock.monotonicMs(), run.stage === 'upscale' ? run.job.params.steps : 0);
      if (run.stage === 'generate' && !(await this.#generate(run, meter))) return;
      if (this.#closing) return;
      await this.#upscale(run, meter);
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

  /** False where the job was cancelled meanwhile: nothing of the run is kept then. */
  async #generate(run: Run, meter: ProgressMeter): Promise<boolean> {
    const { engine, folders, registry, store, clock } = this.#parts;
    const { job } = run;
    const checkpoint = (await registry.list()).find(({ fingerprint }) => fingerprint === job.checkpoint.identity);
    if (checkpoint === undefined) throw modelGone(job, `checkpoint ${job.checkpoint.name}`);
    const outputPath = folders.temporaryPath(job.jobId, 'original');
    try {
      const task = {
        params: job.params,
        checkpointDir: checkpoint.dir,
        checkpointIdentity: checkpoint.fingerprint,
        outputPath,
        texts: this.#texts(job, 'original'),
      };
      const { modelMs, setbacks } = await this.#withModel(run, meter, (hooks) => engine.generate(task, hooks, run.controller.signal));
      if (!(await this.#publish(run, outputPath, job.filename, { type: 'generated', filename: job.filename, setbacks }))) return false;
      store.addGenerateTime(imageKindOf(job), modelMs, clock.now());
      this.#forgetMeasured();
      return true;
    } catch (thrown) {
      await folders.discard(outputPath);
      throw thrown;
    }
  }

  async #upscale(run: Run, meter: ProgressMeter): Promise<void> {
    const { engine, folders, registry, store } = this.#parts;
    const { job } = run;
    run.stage = 'upscale';
    run.model = 'to_come';
    const upscaler = await registry.upscaler();
    if (upscaler.fingerprint !== job.upscaler.identity) throw modelGone(job, `upscaler ${job.upscaler.name}`);
    const outputPath = folders.temporaryPath(job.jobId, 'upscaled', job.filename);
    const upscaledFilename = upscaledFileName(job.filename);
    try {
      const task = {
        inputPath: folders.path(job.filename),
        upscalerPath: upscaler.path,
        upscalerIdentity: upscaler.fingerprint,
        outputPath,
        texts: this.#texts(job, 'upscaled'),
      };
      const { modelMs, writeMs, setbacks } = await this.#withModel(run, meter, (hooks) => engine.upscale(task, hooks, run.controller.signal));
      if (!folders.has(job.filename)) throw originalGone(job);
      const done = await this.#publish(run, outputPath, upscaledFilename, {
        type: 'completed',
        result: { filename: job.filename, upscaledFilename, setbacks },
      });
      if (!done) return;
      store.addUpscaleTime(imageKindOf(job), modelMs, writeMs);
      this.#forgetMeasured();
    } catch (thrown) {
      await folders.discard(outputPath);
      throw thrown;
    }
  }

  /** File first, then the row: a crash in between is mended at the next start. False, and no file, where the job was cancelled meanwhile. */
  async #publish(run: Run, temporaryPath: string, filename: string, event: JobEvent): Promise<boolean> {
    const { folders, store } = this.#parts;
    const { jobId } = run.job;
    if (this.#running.get(jobId) !== run) {
      await folders.discard(temporaryPath);
      return false;
    }
    await folders.publish(temporaryPath, filename);
    run.progress.drop();
    const changed = this.#running.get(jobId) !== run ? null : this.#applyTo(jobId, event, () => this.times(jobId));
    if (changed === null && store.job(jobId)?.state.status === 'cancelled') await folders.discard(folders.path(filename));
    return changed !== null;
  }

  #applyTo(jobId: string, event: JobEvent, times?: () => StatusTimes): StoredJob | null {
    const { unitOfWork, store } = this.#parts;
    return unitOfWork.commit((afterCommit) => {
      const job = store.job(jobId);
      return job === null ? null : unitOfWork.apply(job, event, afterCommit, times);
    });
  }

  async #withModel(
    run: Run,
    meter: ProgressMeter,
    work: (hooks: EngineHooks) => Promise<TaskReport>,
  ): Promise<{ modelMs: number; writeMs: number; setbacks: string[] }> {
    const { clock } = this.#parts;
    let sinceMs: number | null = null;
    let doneMs: number | null = null;
    const onModelStart = () => {
      // a task that runs again has started before
      sinceMs ??= clock.monotonicMs();
      run.model = { sinceMs };
      meter.modelTaken(sinceMs);
    };
    const onModelDone = () => {
      doneMs ??= clock.monotonicMs();
      run.model = 'done';
    };
    const report = await work({ ...this.#hooks(run, meter), onModelStart, onModelDone });
    const endMs = clock.monotonicMs();
    // loading happens once for many pictures and is no part of what one takes
    const modelMs = Math.max(0, (doneMs ?? endMs) - (sinceMs ?? endMs) - (report.stagesMs.loading ?? 0));
    return { modelMs, writeMs: endMs - (doneMs ?? endMs), setbacks: report.setbacks };
  }

  #hooks(run: Run, meter: ProgressMeter): Pick<EngineHooks, 'onProgress' | 'onPreview'> {
    const { subscriptions, clock, log } = this.#parts;
    const { jobId } = run.job;
    const isCurrent = () => this.#running.get(jobId) === run && !run.controller.signal.aborted;
    return {
      onProgress: (engineProgress) => {
        if (!isCurrent()) return;
        const reading = meter.read(engineProgress, clock.monotonicMs());
        if (reading === null) return;
        if (reading.everyStep) run.progress.sendNow(reading.progress);
        else run.progress.offer(reading.progress);
      },
      onPreview: (preview) => {
        if (!isCurrent() || !subscriptions.wantsPreviews(jobId)) return;
        previewMessage(jobId, preview).then(
          (message) => {
            if (isCurrent()) subscriptions.sendPreview(message);
          },
          (thrown: unknown) => log.warn({ err: thrown, job_id: jobId }, 'a preview could not be encoded'),
        );
      },
    };
  }

  #fail(run: Run, thrown: unknown): void {
    const { log } = this.#parts;
    const { jobId } = run.job;
    // cancelled by its last client, or parked: the row already says what is to be
    if (this.#running.get(jobId) !== run || run.controller.signal.aborted) return;
    const error = toWireError(thrown);
    if (error.code === 'shutting_down') return;
    log.error({ err: thrown, job_id: jobId, code: error.code }, 'a job failed');
    this.#writeFailure(jobId, error);
  }

  /** Tried until the disk takes it: a job that nobody works on must not stay in `processing`. */
  #writeFailure(jobId: string, error: WireError): void {
    const { clock, log } = this.#parts;
    // the next start runs it again
    if (this.#closing) return;
    try {
      this.#applyTo(jobId, { type: 'failed', error });
    } catch (cause) {
      log.error({ err: cause, job_id: jobId }, 'a failure could not be written down; the next attempt follows in five seconds');
      clock.schedule(() => this.#writeFailure(jobId, error), TRY_AGAIN_MS);
    }
  }

  #texts(job: StoredJob, role: Recipe['role']) {
    return recipeTexts({
      role,
      job_id: job.jobId,
      params: job.params,
      checkpoint: job.checkpoint,
      upscaler: job.upscaler,
      programVersion: this.#parts.programVersion,
      created_at: job.createdAtMs / 1000,
    });
  }

  #forgetMeasured(): void {
    this.#work.clear();
    this.#msAhead = { jobs: [], sums: [] };
  }

  #workOf(job: StoredJob): MeasuredWork | null {
    const kind = imageKindOf(job);
    const key = JSON.stringify(kind);
    let work = this.#work.get(key);
    if (work === undefined) {
      work = this.#parts.store.measuredWork(kind);
      this.#work.set(key, work);
    }
    return work;
  }

  #modelMs(job: StoredJob): number | null {
    const work = this.#workOf(job);
    return work === null ? null : work.generateMs + work.upscaleMs;
  }

  /** Of the jobs before place `at`; null where one of them was never measured. */
  #modelMsBefore(at: number): number | null {
    const { jobs } = this.#waiting;
    if (this.#msAhead.jobs !== jobs) {
      let sum: number | null = 0;
      const sums = jobs.map((job) => {
        const before = sum;
        sum = totalMs([sum, this.#modelMs(job)]);
        return before;
      });
      this.#msAhead = { jobs, sums };
    }
    return this.#msAhead.sums[at] ?? null;
  }

  #modelMsLeft({ job, stage, model }: Run): number | null {
    const work = this.#workOf(job);
    if (work === null) return null;
    const whole = stage === 'generate' ? work.generateMs : work.upscaleMs;
    const spentMs = typeof model === 'string' ? 0 : this.#parts.clock.monotonicMs() - model.sinceMs;
    const left = model === 'done' ? 0 : Math.max(0, whole - spentMs);
    return stage === 'generate' ? left + work.upscaleMs : left;
  }
}

async function previewMessage(jobId: string, { step, width, height, rgb }: EnginePreview) {
  const png = await encodePng({ width, height, data: rgb }, []);
  return {
    type: 'job_preview' as const,
    job_id: jobId,
    step,
    media_type: 'image/png' as const,
    width,
    height,
    data: Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64'),
  };
}

function modelGone(job: StoredJob, model: string): AppError<'model_not_installed'> {
  const message = `The ${model} that this job was accepted for is no longer installed. Install it again, or send the job again to run with the present one.`;
  return new AppError('model_not_installed', message, { modelType: job.params.model_type });
}

function originalGone(job: StoredJob): AppError<'unknown_image'> {
  return new AppError('unknown_image', `The picture ${job.filename} was deleted while it was being enlarged. Send the job again to make it anew.`, {});
}
