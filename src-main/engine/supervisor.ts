import type { RpcAnswer } from '#main/lib/rpc.ts';
import { type BindingInUse, deviceParts } from '#shared/domain/device.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { QueueDevice } from './device-queue.ts';
import { DeviceState, type EngineConfig } from './device-state.ts';
import type { DeviceStatus } from './engine.ts';
import type { EngineClock } from './engine-clock.ts';
import type { ProcessExit, SpawnEngine } from './engine-process.ts';
import type { EngineTask } from './engine-task.ts';
import { type EngineRequest, LoadedModels } from './loaded-models.ts';
import type { GenerateListeners, WorkerReport } from './protocol.ts';
import { RestartBudget, type RestartLimits } from './restart-budget.ts';
import { decideRetry, type RetryDecision, type TaskFault } from './retry-policy.ts';
import { type ProcessFault, reportedFault, type WorkerLimits, WorkerProcess } from './worker-process.ts';

export interface EngineLimits extends RestartLimits, WorkerLimits {
  /** A running task that reports nothing for this long hangs; one step of a large model on a slow CPU takes minutes. */
  taskTimeoutMs: number;
  /** How long a cancelled task may continue before its process is ended: one long operator cannot be interrupted. */
  cancelGraceMs: number;
  /** How long a process that has to be replaced may go on encoding and writing finished images. */
  finishGraceMs: number;
}

/** Where the engine reports what happens to its processes; pino's order of arguments. */
export interface EngineLog {
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
}

export interface SupervisorOptions {
  spawn: SpawnEngine;
  config: EngineConfig;
  log: EngineLog;
  limits: EngineLimits;
  clock: EngineClock;
  /** Puts a task back into the queue. */
  requeue: (task: EngineTask) => void;
  /** What `availability` or `status` answer has changed. */
  onChange: () => void;
}

const ADVICE: Record<ProcessFault['code'], string> = {
  engine_crashed: 'Try again; the log has its last words.',
  engine_hung: 'Try again, with fewer other programs running.',
  engine_out_of_memory: 'Make a smaller image, or close other programs.',
  engine_unavailable: 'Close other programs, or raise that limit.',
};

/** One device: keeps a worker process for it, gives it one task at a time, and carries out what `retry-policy.ts` decides after a fault. */
export class Supervisor implements QueueDevice<EngineTask> {
  readonly #options: SupervisorOptions;
  readonly #state: DeviceState;
  readonly #budget: RestartBudget;
  #process: WorkerProcess | null = null;
  #loaded = new LoadedModels();
  /** The task that has the device, or waits for its process to be ready. */
  #task: EngineTask | null = null;
  /** How to cancel what was sent to the process and is not answered: the task on the device, and those whose image is encoded and written. */
  readonly #sent = new Map<EngineTask, () => void>();
  /** Id of the task whose model work runs in the process, also when it was given up and nobody waits for it. */
  #onDevice: number | null = null;
  /** Why the process has to be replaced once finished images are written. */
  #replaceFor: ProcessFault | 'planned' | null = null;
  #stopReplace: (() => void) | null = null;
  /** The cancelled task on the device does not stop. */
  #isUnresponsive = false;
  /** The task that is known to be the cause of the next end of the process; null where that is settled already. */
  #culprit: number | null | undefined;
  #stopStart: (() => void) | null = null;
  #stopIdle: (() => void) | null = null;
  #idleMs: number | null = null;
  #lastFault: ProcessFault | null = null;
  #onClosed: (() => void) | null = null;
  binding: BindingInUse | null = null;
  restarts = 0;
  lastCheckpoint: string | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#state = new DeviceState(options.config);
    this.#budget = new RestartBudget(options.limits);
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  get state(): Pick<DeviceState, 'accuracy' | 'memory'> {
    return this.#state;
  }

  get status(): DeviceStatus {
    const { device, deviceReason } = this.#state.worker;
    const idle = this.#isResting() ? 'unavailable' : 'stopped';
    const state = this.#process === null ? idle : this.#process.isReady ? 'ready' : 'starting';
    return { state, device, deviceReason, residentBytes: this.#process?.residentBytes ?? 0 };
  }

  get availability(): 'free' | 'busy' | 'resting' {
    if (this.#process === null && this.#task === null) return this.#isResting() ? 'resting' : 'free';
    const isLeaving = this.#replaceFor !== null || this.#isUnresponsive || this.#process?.isEnding === true;
    return this.#task !== null || isLeaving || [...this.#sent.keys()].some(({ runsAlone }) => runsAlone) ? 'busy' : 'free';
  }

  get isOnCpu(): boolean {
    return !this.#state.isGpu;
  }

  run(task: EngineTask): void {
    this.#task = task;
    this.lastCheckpoint = task.checkpoint ?? this.lastCheckpoint;
    task.hooks.onModelStart?.();
    this.#advance();
  }

  /** Starts the process before the first task asks for it. */
  warm(): void {
    if (this.#process === null && this.#onClosed === null) this.#startSoon();
  }

  unloadAfter(idleMs: number | null): void {
    this.#idleMs = idleMs;
    this.#stopIdleTimer();
    this.#advance();
  }

  /** Does nothing for a task that it does not have. */
  cancel(task: EngineTask): void {
    const cancelCall = this.#sent.get(task);
    if (cancelCall === undefined && task !== this.#task) return;
    if (cancelCall === undefined || this.#process === null || this.#process.isEnding) {
      this.#drop(task, appError('cancelled', {}));
      return;
    }
    cancelCall();
    this.#options.clock.schedule(() => {
      if (task.isSettled) return;
      if (this.#onDevice === task.id) {
        this.#isUnresponsive = true;
        this.#options.log.info({ pid: this.pid }, 'a cancelled task does not stop: the engine process is replaced');
      }
      this.#drop(task, appError('cancelled', {}));
    }, this.#options.limits.cancelGraceMs);
  }

  async close(): Promise<void> {
    for (const stop of [this.#stopStart, this.#stopIdle, this.#stopReplace]) stop?.();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onClosed = resolve;
    for (const task of new Set([...this.#sent.keys(), ...(this.#task === null ? [] : [this.#task])])) task.reject(shuttingDown());
    if (this.#process === null) return;
    this.#process.kill('planned');
    await promise;
  }

  #isResting(): boolean {
    return this.#budget.nextStart(this.#options.clock.monotonicMs()).spent;
  }

  #changed(): void {
    if (this.#onClosed !== null) return;
    this.#advance();
    this.#options.onChange();
  }

  #drop(task: EngineTask, error: AppError): void {
    this.#release(task);
    task.reject(error);
    this.#changed();
  }

  #release(task: EngineTask): void {
    this.#sent.delete(task);
    if (this.#task === task) this.#task = null;
  }

  /** Takes the next step that is due: start a process, replace it, or give it the task. */
  #advance(): void {
    const process = this.#process;
    if (this.#onClosed !== null || process?.isEnding) return;
    if (process === null) {
      if (this.#task !== null) this.#startSoon();
      return;
    }
    this.#watchIdle(process);
    const waiting = this.#task !== null && !this.#sent.has(this.#task) ? this.#task : null;
    const canBegin = process.isReady && this.#onDevice === null;
    const request = waiting !== null && canBegin ? this.#state.requestFor(waiting) : null;
    const isOther = request !== null && !this.#loaded.fits(request);
    if (this.#replaceFor !== null || this.#isUnresponsive || isOther) this.#replace(process);
    else if (waiting !== null && request !== null) this.#send(process, waiting, request);
  }

  /** Finished images are encoded and written first, within limits. */
  #replace(process: WorkerProcess): void {
    const kill = () => process.kill(this.#replaceFor ?? 'planned');
    if (this.#sent.size === 0) kill();
    else this.#stopReplace ??= this.#options.clock.schedule(kill, this.#options.limits.finishGraceMs);
  }

  /** Called often: the time runs from the first moment without a task, and ends with the next one. */
  #watchIdle(process: WorkerProcess): void {
    if (this.#task !== null || this.#sent.size > 0 || this.#idleMs === null) {
      this.#stopIdleTimer();
      return;
    }
    this.#stopIdle ??= this.#options.clock.schedule(() => {
      this.#options.log.info({ pid: process.pid }, 'idle: the engine process ends to free its memory');
      process.kill('planned');
    }, this.#idleMs);
  }

  #stopIdleTimer(): void {
    this.#stopIdle?.();
    this.#stopIdle = null;
  }

  #send(process: WorkerProcess, task: EngineTask, request: EngineRequest): void {
    this.#loaded.note(request);
    this.#onDevice = task.id;
    task.silentTicks = 0;
    const listeners: GenerateListeners = {
      modelDone: () => this.#modelDone(task),
      planned: (decision) => {
        task.silentTicks = 0;
        if (this.#state.planned(decision)) this.#options.log.info(decision, `the checkpoint's parts share memory by the plan ${decision.plan}`);
      },
      progress: (progress) => {
        task.silentTicks = 0;
        if (!task.signal.aborted && !task.isSettled) task.hooks.onProgress(progress);
      },
      preview: (preview) => {
        if (!task.signal.aborted && !task.isSettled) task.hooks.onPreview?.(preview);
      },
    };
    const answer: RpcAnswer<WorkerReport> = {
      onResult: (report) => this.#answered(process, task, () => task.resolve(report)),
      onError: (error) => this.#answered(process, task, () => this.#failed(task, error)),
    };
    const cancel =
      request.type === 'generate' ? process.start('generate', request.params, answer, listeners) : process.start('upscale', request.params, answer, listeners);
    this.#sent.set(task, cancel);
  }

  #modelDone(task: EngineTask): void {
    task.silentTicks = 0;
    this.#freeDevice(task);
    if (this.#task === task) this.#task = null;
    this.#state.isProven = true;
    task.modelDone();
    this.#changed();
  }

  #freeDevice(task: EngineTask): void {
    if (this.#onDevice !== task.id) return;
    this.#onDevice = null;
    this.#isUnresponsive = false;
  }

  #answered(process: WorkerProcess, task: EngineTask, settle: () => void): void {
    // the end of a process, which answers its calls too, is dealt with as a whole
    if (process.isEnding) return;
    this.#freeDevice(task);
    this.#release(task);
    if (task.signal.aborted) task.reject(appError('cancelled', {}));
    else if (!task.isSettled) settle();
    this.#changed();
  }

  #failed(task: EngineTask, thrown: Error): void {
    const error = thrown instanceof AppError ? thrown : new AppError('engine_failed', thrown.message, {});
    const decision = this.#recover(task, { code: error.code, endsProcess: false }, false, error.message, error);
    if (decision === 'give_up_device') this.#replaceFor ??= 'planned';
    else if (error.code === 'engine_out_of_memory' && decision !== 'upscale_on_cpu') {
      this.#replaceFor = reportedFault(error);
      this.#culprit = null;
    }
  }

  /** Lets a task go on as the retry policy decides. `reason` is for the log and the report, `error` for a task that fails. */
  #recover(task: EngineTask, fault: TaskFault, isInnocent: boolean, reason: string, error: AppError): RetryDecision {
    const decision = decideRetry(fault, this.#state.describe(task, isInnocent));
    if (decision === 'fail') {
      task.reject(error);
      return decision;
    }
    if (!isInnocent && (decision === 'retry' || decision === 'step_down_memory')) task.faults++;
    const sentence = this.#state.apply(decision, task, reason);
    if (sentence !== null) {
      task.fallbacks.push(sentence);
      this.#options.log.warn({ task: task.id, code: fault.code }, sentence);
    }
    this.#again(task);
    return decision;
  }

  #again(task: EngineTask): void {
    task.turn = 'again';
    this.#options.requeue(task);
  }

  #tick(process: WorkerProcess, tickMs: number): void {
    const { taskTimeoutMs } = this.#options.limits;
    for (const task of this.#sent.keys()) {
      task.silentTicks++;
      if (task.silentTicks * tickMs <= taskTimeoutMs) continue;
      this.#culprit = task.id;
      process.kill({ code: 'engine_hung', what: `got no further for ${Math.round(taskTimeoutMs / 1000)} s` });
      return;
    }
  }

  #startSoon(): void {
    const { waitMs, spent } = this.#budget.nextStart(this.#options.clock.monotonicMs());
    // an image that was finished and lost with the process waits for the next start
    if (spent && this.#task !== null && !this.#task.runsAlone) this.#refuse(this.#task, waitMs);
    if (this.#stopStart !== null) return;
    if (waitMs === 0) {
      this.#start();
      return;
    }
    this.#stopStart = this.#options.clock.schedule(() => {
      this.#stopStart = null;
      if (spent && this.#task === null) this.#options.onChange();
      else this.#start();
    }, waitMs);
  }

  #refuse(task: EngineTask, waitMs: number): void {
    const last = this.#lastFault === null ? '' : ` The last time it ${this.#lastFault.what}.`;
    const ended = `The engine process ended ${this.#options.limits.maxRestarts + 1} times in a short time`;
    this.#release(task);
    task.reject(new AppError('engine_unavailable', `${ended} and is not restarted for ${Math.ceil(waitMs / 1000)} s.${last} The log has its last words.`, {}));
  }

  #start(): void {
    const { spawn, limits, clock, log } = this.#options;
    const { worker } = this.#state;
    this.#state.processStarted();
    this.#loaded = new LoadedModels();
    const process = new WorkerProcess(spawn(deviceParts(worker.device).provider), worker, limits, clock, {
      onReady: () => this.#changed(),
      onBinding: (binding) => {
        this.binding = binding;
      },
      onTick: (tickMs) => this.#tick(process, tickMs),
      onEnd: (why, exit, lastLines) => this.#ended(why, exit, lastLines),
    });
    this.#process = process;
    log.info({ pid: process.pid, device: worker.device }, 'engine process started');
  }

  #ended(why: ProcessFault | 'planned', exit: ProcessExit, lastLines: readonly string[]): void {
    const lost = [...this.#sent.keys()];
    const [only] = lost.length === 1 ? lost : [];
    const culprit = this.#culprit === undefined ? (this.#onDevice ?? only?.id) : this.#culprit;
    this.#stopIdleTimer();
    this.#stopReplace?.();
    this.#stopReplace = null;
    this.#sent.clear();
    this.#process = null;
    this.#onDevice = null;
    this.#replaceFor = null;
    this.#isUnresponsive = false;
    this.#culprit = undefined;
    if (this.#onClosed !== null) {
      this.#onClosed();
      return;
    }
    if (why !== 'planned') this.#noteFault(why, exit, lastLines);
    for (const task of lost) {
      if (this.#task === task) this.#task = null;
      task.runsAlone = true;
      if (task.signal.aborted) task.reject(appError('cancelled', {}));
      else if (why === 'planned') this.#again(task);
      else this.#recover(task, { code: why.code, endsProcess: true }, task.id !== culprit, `the engine process ${why.what}`, taskError(why));
    }
    // otherwise a task was to blame, or the machine
    const isDeviceFault = why !== 'planned' && why.code !== 'engine_unavailable' && culprit === undefined;
    if (isDeviceFault && lost.length === 0 && this.#state.isGpu && !this.#state.isProven) {
      this.#options.log.warn({}, this.#state.giveUp(`the engine process ${why.what}`));
    }
    this.#changed();
  }

  #noteFault(fault: ProcessFault, exit: ProcessExit, lastLines: readonly string[]): void {
    this.restarts++;
    this.#lastFault = fault;
    this.#budget.recordDeath(this.#options.clock.monotonicMs());
    this.#options.log.warn({ code: fault.code, exit, lastLines }, `engine process ended: it ${fault.what}`);
  }
}

function taskError({ code, what }: ProcessFault): AppError {
  return new AppError(code, `The engine process failed twice on this image: the second time it ${what}. ${ADVICE[code]}`, {});
}

function shuttingDown(): AppError {
  return new AppError('shutting_down', 'The program is shutting down; the task did not finish.', {});
}
