import type { EngineHooks, EnginePreview, EngineProgress, Provenance, TaskReport } from '#main/engine/engine.ts';
import { encodePng } from '#main/lib/png.ts';
import { type JobEvent, madeSizeOf, secondScaleOf, stepsOf } from '#shared/domain/job.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { JobPreviewMessage } from '#shared/protocol/messages.ts';
import { Coalescer, type Progress, ProgressMeter } from '../events/progress.ts';
import { upscaledFileName } from '../images/file-name.ts';
import { findInput } from '../input-images.ts';
import type { RunningJob } from '../queue/estimate.ts';
import type { StoredJob } from '../store/stored-job.ts';
import { imageKindOf } from '../store/timing-repository.ts';
import { inputFiles } from './input-files.ts';
import type { ProcessorParts } from './job-processor.ts';
import type { ModelPaths } from './model-paths.ts';
import { recipeFacts } from './recipe-facts.ts';

const PROGRESS_INTERVAL_MS = 100;

/** The hash of a finished image's pixels. */
export interface ImagePixels {
  role: Recipe['role'];
  sha256: string;
}

interface RunParts extends ProcessorParts {
  models: ModelPaths;
  /** False once the job was cancelled. */
  isCurrent: () => boolean;
  isClosing: () => boolean;
  inOrder: <T>(prepare: () => Promise<T>) => Promise<T>;
  /** `pixels` is null where the event brings no new image. */
  save: (event: JobEvent, pixels: ImagePixels | null) => Promise<StoredJob | null>;
  onMeasured: () => void;
}

/** A job in `processing` or `generated` at work. */
export class JobRun implements RunningJob {
  readonly job: StoredJob;
  readonly controller = new AbortController();
  readonly progress: Coalescer<Progress>;
  stage: 'generate' | 'upscale';
  model: RunningJob['model'] = 'waiting';
  finished: Promise<void> = Promise.resolve();
  readonly #parts: RunParts;
  readonly #meter: ProgressMeter;

  constructor(job: StoredJob, stage: 'generate' | 'upscale', parts: RunParts) {
    const { clock, subscriptions, log } = parts;
    this.job = job;
    this.stage = stage;
    this.#parts = parts;
    const steps = stepsOf(job);
    this.#meter = new ProgressMeter(steps, clock.monotonicMs(), stage === 'upscale' ? (steps ?? 0) : 0);
    this.progress = new Coalescer<Progress>(PROGRESS_INTERVAL_MS, clock, (value) => {
      try {
        subscriptions.sendProgress(job.jobId, value);
      } catch (thrown) {
        // a message that cannot be numbered must not disturb the engine
        log.warn({ err: thrown, job_id: job.jobId }, 'progress could not be sent');
      }
    });
  }

  /** Throws why the job failed. Resolves early where it was cancelled or parked. */
  async takeToEnd(): Promise<void> {
    if (this.stage === 'generate' && !(await this.#makeFirst())) return;
    if (this.#parts.isClosing()) return;
    const scale = secondScaleOf(this.job);
    if (scale === null) await this.#parts.save({ type: 'completed', result: { filename: this.job.filename } }, null);
    else await this.#makeSecond(scale);
  }

  /** False where the job was cancelled meanwhile: nothing of the run is kept then. */
  async #makeFirst(): Promise<boolean> {
    const { folders, inOrder, store, clock } = this.#parts;
    const { job } = this;
    const { run, outputPath } = await inOrder(async () => {
      await folders.assertUsable();
      const outputPath = folders.temporaryPath(job.jobId, 'original');
      return { run: await this.#firstTask(outputPath), outputPath };
    });
    try {
      const { modelMs, setbacks, sha256 } = await this.#withModel(run);
      const pixels = { role: job.taskType === 'upscale' ? ('upscaled' as const) : ('original' as const), sha256 };
      if (!(await this.#publish(outputPath, job.filename, { type: 'generated', filename: job.filename, setbacks }, pixels))) return false;
      this.#measured(() => store.timings.addGenerateTime(imageKindOf(job), modelMs, clock.now()));
      return true;
    } catch (thrown) {
      await folders.discard(outputPath);
      throw thrown;
    }
  }

  async #firstTask(outputPath: string): Promise<(hooks: EngineHooks) => Promise<TaskReport>> {
    const { engine, models, inputs, folders } = this.#parts;
    const { job } = this;
    const { signal } = this.controller;
    const sparePath = folders.sparePath(job.filename);
    if (job.taskType === 'upscale') {
      const { path: inputPath } = await findInput(inputs, job.params.image, 'image');
      const { scale } = job.params;
      const task = { inputPath, scale, startsJob: true, ...(await models.upscalerOf(job)), outputPath, sparePath, provenance: this.#provenance('upscaled') };
      return (hooks) => engine.upscale(task, hooks, signal);
    }
    const files = await inputFiles(job, inputs, models);
    const task = {
      params: { ...job.params, ...madeSizeOf(job.params) },
      ...(files === null ? {} : { files }),
      ...(await models.checkpointOf(job)),
      outputPath,
      sparePath,
      provenance: this.#provenance('original'),
    };
    return (hooks) => engine.generate(task, hooks, signal);
  }

  async #makeSecond(scale: 2 | 4): Promise<void> {
    const { engine, folders, models, store } = this.#parts;
    const { job } = this;
    this.stage = 'upscale';
    this.model = 'waiting';
    const upscaler = await models.upscalerOf(job);
    const outputPath = folders.temporaryPath(job.jobId, 'upscaled', job.filename);
    const upscaledFilename = upscaledFileName(job.filename);
    try {
      const inputPath = folders.path(job.filename);
      const task = {
        ...{ inputPath, scale, startsJob: false, ...upscaler, outputPath },
        sparePath: folders.sparePath(upscaledFilename),
        provenance: this.#provenance('upscaled'),
      };
      const { modelMs, writeMs, setbacks, sha256 } = await this.#withModel((hooks) => engine.upscale(task, hooks, this.controller.signal));
      if (!folders.has(job.filename)) throw originalGone(job);
      const result = { filename: job.filename, upscaledFilename, setbacks };
      const isSaved = await this.#publish(outputPath, upscaledFilename, { type: 'completed', result }, { role: 'upscaled', sha256 });
      if (isSaved) this.#measured(() => store.timings.addUpscaleTime(imageKindOf(job), modelMs, writeMs));
    } catch (thrown) {
      await folders.discard(outputPath);
      throw thrown;
    }
  }

  /** File first, then the row: the next start takes over an image that a crash left in between. False, and no file, where the job was cancelled meanwhile. */
  async #publish(temporaryPath: string, filename: string, event: JobEvent, pixels: ImagePixels): Promise<boolean> {
    const { folders, store, isCurrent, save } = this.#parts;
    const { jobId } = this.job;
    if (!isCurrent()) {
      await folders.discard(temporaryPath);
      return false;
    }
    await folders.publish(temporaryPath, filename);
    this.progress.drop();
    const changed = isCurrent() ? await save(event, pixels) : null;
    if (changed === null && store.jobs.byId(jobId)?.state.status === 'cancelled') await folders.discard(folders.path(filename));
    return changed !== null;
  }

  async #withModel(work: (hooks: EngineHooks) => Promise<TaskReport>): Promise<{ modelMs: number; writeMs: number; setbacks: string[]; sha256: string }> {
    const { clock } = this.#parts;
    let sinceMs: number | null = null;
    let doneMs: number | null = null;
    const onModelStart = () => {
      const nowMs = clock.monotonicMs();
      // a task that runs again has started before
      sinceMs ??= nowMs;
      this.model = { fraction: 0, atMs: nowMs };
      this.#meter.modelTaken(nowMs);
    };
    const onModelDone = () => {
      doneMs ??= clock.monotonicMs();
      this.model = 'done';
    };
    const hooks = {
      onModelStart,
      onModelDone,
      onProgress: (engine: EngineProgress) => this.#report(engine),
      onPreview: (preview: EnginePreview) => this.#preview(preview),
    };
    const report = await work(hooks);
    const endMs = clock.monotonicMs();
    // loading happens once for many images and a sleep of the machine is no work
    const otherMs = (report.stagesMs.loading ?? 0) + (this.stage === 'generate' ? this.#meter.stalledMs : 0);
    const modelMs = Math.max(0, (doneMs ?? endMs) - (sinceMs ?? endMs) - otherMs);
    return { modelMs, writeMs: endMs - (doneMs ?? endMs), setbacks: report.setbacks, sha256: report.pixelsSha256 };
  }

  #report(engine: EngineProgress): void {
    if (!this.#isActive()) return;
    const nowMs = this.#parts.clock.monotonicMs();
    if (typeof this.model === 'object') {
      const isModelWork = engine.stage === (this.stage === 'generate' && this.job.taskType !== 'upscale' ? 'generating' : 'upscaling');
      if (isModelWork && engine.total > 0) this.model = { fraction: Math.min(1, engine.done / engine.total), atMs: nowMs };
      else if (engine.stage === 'loading') this.model.atMs = nowMs;
    }
    const reading = this.#meter.read(engine, nowMs);
    if (reading?.everyStep === true) this.progress.sendNow(reading.progress);
    else if (reading !== null) this.progress.offer(reading.progress);
  }

  #preview(preview: EnginePreview): void {
    const { subscriptions, log } = this.#parts;
    const { jobId } = this.job;
    if (!this.#isActive() || !subscriptions.wantsPreviews(jobId)) return;
    previewMessage(jobId, preview)
      .then((message) => {
        if (this.#isActive()) subscriptions.sendPreview(message);
      })
      .catch((thrown: unknown) => log.warn({ err: thrown, job_id: jobId }, 'a preview could not be sent'));
  }

  #isActive(): boolean {
    return this.#parts.isCurrent() && !this.controller.signal.aborted;
  }

  /** Times are a convenience: the job is not failed for them. */
  #measured(save: () => void): void {
    try {
      save();
      this.#parts.onMeasured();
    } catch (thrown) {
      this.#parts.log.warn({ err: thrown, job_id: this.job.jobId }, 'the time that a job took could not be saved');
    }
  }

  #provenance(role: Recipe['role']): Provenance {
    const { programVersion, marksImages } = this.#parts;
    return { recipe: recipeFacts(this.job, role, programVersion), isMarked: marksImages() };
  }
}

async function previewMessage(jobId: string, { step, width, height, rgb }: EnginePreview): Promise<JobPreviewMessage> {
  const png = await encodePng({ width, height, data: rgb }, []);
  const data = Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64');
  return { type: 'job_preview', job_id: jobId, step, media_type: 'image/png', width, height, data };
}

function originalGone(job: StoredJob): AppError<'unknown_image'> {
  return new AppError('unknown_image', `The image ${job.filename} was deleted while it was being upscaled. Send the job again to generate it again.`, {});
}
