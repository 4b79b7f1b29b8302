import { writeFile } from 'node:fs/promises';
import { completeRecipe } from '#main/engine/complete-recipe.ts';
import { DeviceQueue, type QueueDevice, type QueuedTask } from '#main/engine/device-queue.ts';
import type { Engine, EngineHooks, EngineStatus, GenerateTask, TaskReport, UpscaleTask } from '#main/engine/engine.ts';
import { encodePng } from '#main/lib/png.ts';
import { imageTexts } from '#main/provenance/image-texts.ts';
import { pixelHash } from '#main/provenance/pixel-hash.ts';
import { AppError } from '#shared/protocol/errors.ts';

const pixels = { width: 2, height: 2, data: new Uint8Array(12).fill(128) };

/** A task that the engine was given, taken further by the test. */
export class SteppedTask implements QueuedTask {
  readonly id: number;
  readonly turn: QueuedTask['turn'];
  readonly checkpoint = null;
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
  #onModelDone: () => void = () => {};

  constructor(id: number, kind: 'generate' | 'upscale', task: GenerateTask | UpscaleTask, hooks: EngineHooks, signal: AbortSignal) {
    this.id = id;
    this.turn = kind === 'generate' ? 'start' : 'continue';
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
    this.#onModelDone();
  }

  /** Once the device is free for another task: the model is done, or the task has ended. */
  whenModelDone(listener: () => void): void {
    let isDone = false;
    this.#onModelDone = () => {
      if (!isDone) listener();
      isDone = true;
    };
    this.report.finally(this.#onModelDone).catch(() => {}); // the task's caller gets its failure
  }

  /** Writes a small PNG with the recipe that it was given. */
  async finish(setbacks: string[] = []): Promise<void> {
    this.modelDone();
    const { provenance, outputPath } = this.task;
    const report = { device: 'cpu', deviceReason: 'a test', accuracy: 'exact', width: 2, height: 2, pixelsSha256: await pixelHash(pixels) } as const;
    const original = this.kind === 'upscale' ? report.pixelsSha256 : null;
    const texts = provenance === null ? [] : imageTexts(completeRecipe(provenance.recipe, report, original), provenance.isMarked);
    await writeFile(outputPath, await encodePng(pixels, texts));
    this.#resolve({ stagesMs: {}, setbacks, ...report });
  }

  fail(reason: unknown): void {
    this.#reject(reason);
  }
}

class SteppedDevice implements QueueDevice<SteppedTask> {
  availability: 'free' | 'busy' = 'free';
  readonly isOnCpu = false;
  readonly lastCheckpoint = null;
  readonly #take: (task: SteppedTask) => void;
  readonly #onFree: () => void;

  constructor(take: (task: SteppedTask) => void, onFree: () => void) {
    this.#take = take;
    this.#onFree = onFree;
  }

  run(task: SteppedTask): void {
    this.availability = 'busy';
    task.whenModelDone(() => {
      this.availability = 'free';
      this.#onFree();
    });
    this.#take(task);
  }
}

/** An engine inside the test: tasks reach `tasks` by the real queue, and then do nothing unless it `runsAlone`. */
export class SteppedEngine implements Engine {
  /** Every task that was given a device, in order. */
  readonly tasks: SteppedTask[] = [];
  readonly #runsAlone: boolean;
  readonly #devices: number;
  readonly #queue: DeviceQueue<SteppedTask>;
  readonly #listeners: (() => void)[] = [];
  #nextId = 1;
  #waiters: (() => void)[] = [];
  #hasCapacity = true;

  constructor(options: { runsAlone?: boolean; devices?: number } = {}) {
    this.#runsAlone = options.runsAlone ?? false;
    this.#devices = options.devices ?? 1;
    const device = () =>
      new SteppedDevice(
        (task) => this.#take(task),
        () => this.#queue.dispatch(),
      );
    this.#queue = new DeviceQueue(Array.from({ length: this.#devices }, device));
  }

  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#add(new SteppedTask(this.#nextId++, 'generate', task, hooks, signal));
  }

  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#add(new SteppedTask(this.#nextId++, 'upscale', task, hooks, signal));
  }

  /** The task number `index`, as soon as there is one. */
  async task(index: number): Promise<SteppedTask> {
    for (;;) {
      const task = this.tasks[index];
      if (task !== undefined) return task;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** The last request. */
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

  hasCapacity(): boolean {
    return this.#hasCapacity;
  }

  setCapacity(hasCapacity: boolean): void {
    this.#hasCapacity = hasCapacity;
    if (hasCapacity) for (const listener of this.#listeners) listener();
  }

  onCapacity(listener: () => void): void {
    this.#listeners.push(listener);
  }

  deviceCount(): number {
    return this.#devices;
  }

  async close(): Promise<void> {
    for (const task of [...this.#queue.takeAll(), ...this.tasks]) task.fail(new AppError('shutting_down', 'The engine was closed.', {}));
  }

  #add(task: SteppedTask): Promise<TaskReport> {
    this.#queue.add(task);
    task.signal.addEventListener('abort', () => this.#queue.remove(task) && task.fail(new AppError('cancelled', 'The task was aborted.', {})));
    this.#queue.dispatch();
    return task.report;
  }

  #take(task: SteppedTask): void {
    this.tasks.push(task);
    task.hooks.onModelStart?.();
    for (const wake of this.#waiters.splice(0)) wake();
    if (this.#runsAlone) this.#runAlone(task).catch((thrown: unknown) => task.fail(thrown));
  }

  async #runAlone(task: SteppedTask): Promise<void> {
    if ('params' in task.task) {
      const { steps } = task.task.params;
      for (let step = 1; step <= steps; step++) task.step(step, steps);
    }
    await task.finish();
  }
}
