import type { MonotonicClock } from '#main/lib/clock.ts';
import type { RpcAnswer } from '#main/lib/rpc.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { QueueDevice } from './device-queue.ts';
import { DeviceState, type EngineConfig } from './device-state.ts';
import type { DeviceStatus } from './engine.ts';
import type { SpawnEngine } from './engine-process.ts';
import type { EngineTask } from './engine-task.ts';
import { type EngineRequest, LoadedModels } from './loaded-models.ts';
import type { GenerateListeners, WorkerReport } from './protocol.ts';
import type { RestartLimits } from './restart-budget.ts';
import { decideRetry, type RetryDecision, type TaskFault } from './retry-policy.ts';
import { type EngineLog, WorkerLifecycle } from './worker-lifecycle.ts';
import { type ProcessFault, reportedFault, type WorkerLimits, type WorkerProcess } from './worker-process.ts';

export interface EngineLimits extends RestartLimits, WorkerLimits {
  /** A running task that reports nothing for this long hangs; one step of a large model on a slow CPU takes minutes. */
  taskTimeoutMs: number;
  /** How long a cancelled task may continue before its process is ended: one long operator cannot be interrupted. */
  cancelGraceMs: number;
  /** How long a process that has to be replaced may go on encoding and writing finished images. */
  finishGraceMs: number;
}

export interface SupervisorOptions {
  spawn: SpawnEngine;
  config: EngineConfig;
  log: EngineLog;
  limits: EngineLimits;
  clock: MonotonicClock;
  /** Puts a task back into the queue, before those that have not run yet. */
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
  readonly state: DeviceState;
  readonly worker: WorkerLifecycle;
  #loaded = new LoadedModels();
  /** The task that has the device, or waits for its process to be ready. */
  #task: EngineTask | null = null;
  /** How to cancel what was sent to the process and is not answered: the task on the device, and those whose image is encoded and written. */
  readonly #sent = new Map<EngineTask, () => void>();
  /** Id of the task whose model work runs in the process, also after the task was given up. */
  #onDevice: number | null = null;
  /** Why the process has to be replaced once finished images are written. */
  #replaceFor: ProcessFault | 'planned' | null = null;
  #stopReplace: (() => void) | null = null;
  /** The cancelled task on the device does not stop. */
  #isUnresponsive = false;
  /** The task that is known to be the cause of the next end of the process; null where that is settled already. */
  #culprit: number | null | undefined;
  lastCheckpoint: string | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.state = new DeviceState(options.config);
    this.worker = new WorkerLifecycle({
      ...options,
      config: () => this.state.worker,
      onStart: () => {
        this.state.processStarted();
        this.#loaded = new LoadedModels();
      },
      onReady: () => this.#changed(),
      onTick: (tickMs) => this.#tick(tickMs),
      onEnd: (why) => this.#ended(why),
      onRested: () => this.#changed(),
    });
  }

  get status(): DeviceStatus {
    const { device, deviceReason } = this.state.worker;
    return { state: this.worker.state, device, deviceReason, residentBytes: this.worker.process?.residentBytes ?? 0 };
  }

  get availability(): 'free' | 'busy' | 'resting' {
    if (this.#task === null && this.worker.isResting) return 'resting';
    const isLeaving = this.#replaceFor !== null || this.#isUnresponsive || this.worker.process?.isEnding === true;
    return this.#task !== null || isLeaving || [...this.#sent.keys()].some(({ runsAlone }) => runsAlone) ? 'busy' : 'free';
  }

  get isOnCpu(): boolean {
    return !this.state.isGpu;
  }

  run(task: EngineTask): void {
    this.#task = task;
    this.lastCheckpoint = task.checkpoint ?? this.lastCheckpoint;
    task.hooks.onModelStart?.();
    this.#advance();
  }

  /** Starts the process before the first task asks for it. */
  warm(): void {
    this.worker.startSoon();
  }

  unloadAfter(idleMs: number | null): void {
    this.worker.unloadAfter(idleMs);
    this.#advance();
  }

  /** Does nothing for a task that it does not have. */
  cancel(task: EngineTask): void {
    const cancelCall = this.#sent.get(task);
    if (cancelCall === undefined && task !== this.#task) return;
    if (cancelCall === undefined || this.worker.process?.isEnding !== false) {
      this.#endTask(task, appError('cancelled', {}));
      this.#changed();
      return;
    }
    cancelCall();
    this.#options.clock.schedule(() => {
      if (task.isSettled) return;
      if (this.#onDevice === task.id) {
        this.#isUnresponsive = true;
        this.#options.log.info({ pid: this.worker.process?.pid }, 'a cancelled task does not stop: the engine process is replaced');
      }
      this.#endTask(task, appError('cancelled', {}));
      this.#changed();
    }, this.#options.limits.cancelGraceMs);
  }

  close(): Promise<void> {
    this.#stopReplace?.();
    const closed = this.worker.close();
    for (const task of new Set([...this.#sent.keys(), ...(this.#task === null ? [] : [this.#task])])) task.reject(shuttingDown());
    return closed;
  }

  #changed(): void {
    if (this.worker.isClosed) return;
    this.#advance();
    this.#options.onChange();
  }

  #endTask(task: EngineTask, error: AppError): void {
    this.#release(task);
    task.reject(error);
  }

  #release(task: EngineTask): void {
    this.#sent.delete(task);
    if (this.#task === task) this.#task = null;
  }

  /** Takes the next step that is due: start a process, replace it, or give it the task. */
  #advance(): void {
    const { process, isClosed, isResting } = this.worker;
    if (isClosed || process?.isEnding) return;
    if (process === null) {
      // an image that was finished and lost with the process waits for the next start
      if (isResting && this.#task?.runsAlone === false) this.#endTask(this.#task, this.worker.refusal());
      if (this.#task !== null || isResting) this.worker.startSoon();
      return;
    }
    this.worker.watchIdle(this.#task === null && this.#sent.size === 0);
    const waiting = this.#task !== null && !this.#sent.has(this.#task) ? this.#task : null;
    const canBegin = process.isReady && this.#onDevice === null;
    const request = waiting !== null && canBegin ? this.state.requestFor(waiting) : null;
    const isOther = request !== null && !this.#loaded.fits(request);
    if (this.#replaceFor !== null || this.#isUnresponsive || isOther) {
      this.#replace(process);
      return;
    }
    this.#stopReplace?.();
    this.#stopReplace = null;
    if (waiting !== null && request !== null) this.#send(process, waiting, request);
  }

  /** Finished images are encoded and written first, within limits. */
  #replace(process: WorkerProcess): void {
    const kill = () => process.kill(this.#replaceFor ?? 'planned');
    if (this.#sent.size === 0) kill();
    else this.#stopReplace ??= this.#options.clock.schedule(kill, this.#options.limits.finishGraceMs);
  }

  #send(process: WorkerProcess, task: EngineTask, request: EngineRequest): void {
    this.#loaded.note(request);
    this.#onDevice = task.id;
    task.silentTicks = 0;
    const listeners = listenersFor(task, this.state, this.#options.log, () => this.#modelDone(task));
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
    this.state.isProven = true;
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
    if (decision === 'give_up_device' || decision === 'step_down_precision') this.#replaceFor ??= 'planned';
    else if (error.code === 'engine_out_of_memory' && decision !== 'upscale_on_cpu') {
      this.#replaceFor = reportedFault(error);
      this.#culprit = null;
    }
  }

  /** Lets a task go on as the retry policy decides. `reason` is for the log and the report, `error` for a task that fails. */
  #recover(task: EngineTask, fault: TaskFault, isInnocent: boolean, reason: string, error: AppError): RetryDecision {
    const decision = decideRetry(fault, this.state.describe(task, isInnocent));
    if (decision === 'fail') {
      task.reject(error);
      return decision;
    }
    if (!isInnocent && (decision === 'retry' || decision === 'step_down_memory')) task.faults++;
    const sentence = this.state.apply(decision, task, reason);
    if (sentence !== null) {
      task.fallbacks.push(sentence);
      this.#options.log.warn({ task: task.id, code: fault.code }, sentence);
    }
    this.#options.requeue(task);
    return decision;
  }

  #tick(tickMs: number): void {
    const { taskTimeoutMs } = this.#options.limits;
    for (const task of this.#sent.keys()) {
      task.silentTicks++;
      if (task.silentTicks * tickMs <= taskTimeoutMs) continue;
      this.#culprit = task.id;
      this.worker.process?.kill({ code: 'engine_hung', what: `got no further for ${Math.round(taskTimeoutMs / 1000)} s` });
      return;
    }
  }

  #ended(why: ProcessFault | 'planned'): void {
    const lost = [...this.#sent.keys()];
    const [only] = lost.length === 1 ? lost : [];
    const culprit = this.#culprit === undefined ? (this.#onDevice ?? only?.id) : this.#culprit;
    this.#stopReplace?.();
    this.#stopReplace = null;
    this.#sent.clear();
    this.#onDevice = null;
    this.#replaceFor = null;
    this.#isUnresponsive = false;
    this.#culprit = undefined;
    for (const task of lost) {
      if (this.#task === task) this.#task = null;
      task.runsAlone = true;
      if (task.signal.aborted) task.reject(appError('cancelled', {}));
      else if (why === 'planned') this.#options.requeue(task);
      else this.#recover(task, { code: why.code, endsProcess: true }, task.id !== culprit, `the engine process ${why.what}`, taskError(why));
    }
    // otherwise a task was to blame, or the machine
    const isDeviceFault = why !== 'planned' && why.code !== 'engine_unavailable' && culprit === undefined;
    if (isDeviceFault && lost.length === 0 && this.state.isGpu && !this.state.isProven) {
      this.#options.log.warn({}, this.state.giveUp(`the engine process ${why.what}`));
    }
    this.#changed();
  }
}

function listenersFor(task: EngineTask, state: DeviceState, log: EngineLog, modelDone: () => void): GenerateListeners {
  const isHeard = () => !task.signal.aborted && !task.isSettled;
  return {
    modelDone,
    planned(decision) {
      task.silentTicks = 0;
      if (state.planned(decision)) log.info(decision, `the checkpoint's parts share memory by the plan ${decision.plan}`);
    },
    fallback(sentence) {
      task.fallbacks.push(sentence);
      log.warn({ task: task.id }, sentence);
    },
    progress(progress) {
      task.silentTicks = 0;
      if (isHeard()) task.hooks.onProgress(progress);
    },
    preview(preview) {
      if (isHeard()) task.hooks.onPreview?.(preview);
    },
  };
}

function taskError({ code, what }: ProcessFault): AppError {
  return new AppError(code, `The engine process failed twice on this image: the second time it ${what}. ${ADVICE[code]}`, {});
}

function shuttingDown(): AppError {
  return new AppError('shutting_down', 'The program is shutting down; the task did not finish.', {});
}
