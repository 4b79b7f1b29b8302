import { writeFile } from 'node:fs/promises';
import type { Engine, EngineHooks, EngineStatus, GenerateTask, TaskReport, UpscaleTask } from '#main/engine/engine.ts';
import { encodePng } from '#main/lib/png.ts';
import { AppError } from '#shared/protocol/errors.ts';

const pixels = { width: 2, height: 2, data: new Uint8Array(12).fill(128) };

/** A task that the engine was given, taken further by the test. */
export class SteppedTask {
  readonly kind: 'generate' | 'upscale';
  readonly task: GenerateTask | UpscaleTask;
  readonly hooks: EngineHooks;
  readonly signal: AbortSignal;
  readonly report: Promise<TaskReport>;
  /** True: an abort is overheard, as by an engine that is about to finish. */
  deaf = false;
  readonly #resolve: (report: TaskReport) => void;
  readonly #reject: (reason: unknown) => void;
  #modelDone = false;

  constructor(kind: 'generate' | 'upscale', task: GenerateTask | UpscaleTask, hooks: EngineHooks, signal: AbortSignal) {
    this.kind = kind;
    this.task = task;
    this.hooks = hooks;
    this.signal = signal;
    const { promise, resolve, reject } = Promise.withResolvers<TaskReport>();
    this.report = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const abort = () => {
      if (!this.deaf) reject(new AppError('cancelled', 'The task was aborted.', {}));
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
  }

  get prompt(): string | null {
    return 'params' in this.task ? this.task.params.prompt : null;
  }

  step(done: number, total = 9): void {
    this.hooks.onProgress({ stage: 'generating', done, total });
  }

  modelDone(): void {
    if (this.#modelDone) return;
    this.#modelDone = true;
    this.hooks.onModelDone();
  }

  /** Writes a small PNG with the texts that it was given. */
  async finish(setbacks: string[] = []): Promise<void> {
    this.modelDone();
    await writeFile(this.task.outputPath, await encodePng(pixels, this.task.texts));
    this.#resolve({ stagesMs: {}, device: 'cpu', deviceReason: 'a test', accuracy: 'exact', setbacks, width: 2, height: 2 });
  }

  fail(reason: unknown): void {
    this.#reject(reason);
  }
}

/** An engine inside the test: it does nothing by itself unless it `runsAlone`. */
export class SteppedEngine implements Engine {
  /** Every task ever given, in order. */
  readonly tasks: SteppedTask[] = [];
  readonly #runsAlone: boolean;
  readonly #places: number;
  #waiters: (() => void)[] = [];

  constructor(options: { runsAlone?: boolean; places?: number } = {}) {
    this.#runsAlone = options.runsAlone ?? false;
    this.#places = options.places ?? 1;
  }

  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#take(new SteppedTask('generate', task, hooks, signal));
  }

  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#take(new SteppedTask('upscale', task, hooks, signal));
  }

  /** The task number `index`, as soon as there is one. */
  async task(index: number): Promise<SteppedTask> {
    for (;;) {
      const task = this.tasks[index];
      if (task !== undefined) return task;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** What was asked for last. */
  idleMs: number | null = null;

  unloadAfter(idleMs: number | null): void {
    this.idleMs = idleMs;
  }

  status(): EngineStatus {
    return {
      state: 'ready',
      device: 'cpu',
      deviceReason: 'a test',
      accuracy: 'exact',
      memory: { choice: 'auto', steppedDown: false, planned: null },
      binding: null,
      residentBytes: 0,
      restarts: 0,
      devices: [],
    };
  }

  places(): number {
    return this.#places;
  }

  async close(): Promise<void> {
    for (const task of this.tasks) task.fail(new AppError('shutting_down', 'The engine was closed.', {}));
  }

  #take(task: SteppedTask): Promise<TaskReport> {
    this.tasks.push(task);
    for (const wake of this.#waiters.splice(0)) wake();
    if (this.#runsAlone) this.#runAlone(task).catch((thrown: unknown) => task.fail(thrown));
    return task.report;
  }

  async #runAlone(task: SteppedTask): Promise<void> {
    if ('params' in task.task) {
      const { steps } = task.task.params;
      for (let step = 1; step <= steps; step++) task.step(step, steps);
    }
    await task.finish();
  }
}
