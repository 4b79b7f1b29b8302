import type { AppError } from '#shared/protocol/errors.ts';
import type { QueuedTask } from './device-queue.ts';
import type { EngineHooks, TaskReport } from './engine.ts';
import type { GenerateTask, UpscaleTask, WorkerReport } from './protocol.ts';

export type EngineWork = { type: 'generate'; task: GenerateTask } | { type: 'upscale'; task: UpscaleTask };

/** A task from its acceptance to its answer, over any number of processes. */
export class EngineTask implements QueuedTask {
  readonly id: number;
  readonly work: EngineWork;
  readonly hooks: EngineHooks;
  readonly signal: AbortSignal;
  /** Why it runs on another device or in another accuracy than was chosen, a sentence each. */
  readonly fallbacks: string[] = [];
  turn: QueuedTask['turn'];
  /** Process deaths that it caused. */
  faults = 0;
  /** Its int8 activations gave no image: it runs in float32. */
  isExact = false;
  /** It lost its process once: nothing runs beside it from then on, so that no neighbour can take its process down again. */
  runsAlone = false;
  silentTicks = 0;
  isSettled = false;
  readonly #settle: (answer: TaskReport | AppError) => void;
  #isModelDone = false;

  constructor(id: number, work: EngineWork, hooks: EngineHooks, signal: AbortSignal, settle: (answer: TaskReport | AppError) => void) {
    this.id = id;
    this.work = work;
    this.hooks = hooks;
    this.signal = signal;
    this.turn = work.type === 'generate' || work.task.startsJob === true ? 'start' : 'continue';
    this.#settle = settle;
  }

  get checkpoint(): string | null {
    return this.work.type === 'generate' ? this.work.task.checkpointIdentity : null;
  }

  /** A task that runs again has said so already. */
  modelDone(): void {
    if (this.#isModelDone || this.signal.aborted) return;
    this.#isModelDone = true;
    this.hooks.onModelDone();
  }

  resolve(report: WorkerReport): void {
    this.#end({ ...report, setbacks: this.fallbacks });
  }

  reject(error: AppError): void {
    this.#end(error);
  }

  #end(answer: TaskReport | AppError): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#settle(answer);
  }
}
