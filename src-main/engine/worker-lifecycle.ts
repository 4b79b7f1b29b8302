import type { MonotonicClock } from '#main/lib/clock.ts';
import { type BindingInUse, deviceParts } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { EngineStatus } from './engine.ts';
import type { ProcessExit, SpawnEngine } from './engine-process.ts';
import type { WorkerConfig } from './protocol.ts';
import { RestartBudget, type RestartLimits } from './restart-budget.ts';
import { type ProcessFault, type WorkerLimits, WorkerProcess } from './worker-process.ts';

/** Where the engine reports what happens to its processes; pino's order of arguments. */
export interface EngineLog {
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
}

export interface LifecycleOptions {
  spawn: SpawnEngine;
  limits: RestartLimits & WorkerLimits;
  clock: MonotonicClock;
  log: EngineLog;
  /** Read at each start. */
  config: () => WorkerConfig;
  onStart(): void;
  onReady(): void;
  onTick(tickMs: number): void;
  /** `process` is null again by then. Not called for an end by `close`. */
  onEnd(why: ProcessFault | 'planned'): void;
  /** The time without restarts is over. */
  onRested(): void;
}

/** Starts a worker process with growing pauses after faults, lets it rest after too many, and ends it when it is idle. */
export class WorkerLifecycle {
  readonly #options: LifecycleOptions;
  readonly #budget: RestartBudget;
  #stopStart: (() => void) | null = null;
  #stopIdle: (() => void) | null = null;
  #idleMs: number | null = null;
  #lastFault: ProcessFault | null = null;
  #onClosed: (() => void) | null = null;
  process: WorkerProcess | null = null;
  binding: BindingInUse | null = null;
  restarts = 0;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#budget = new RestartBudget(options.limits);
  }

  get isClosed(): boolean {
    return this.#onClosed !== null;
  }

  /** It ended too often and is not restarted yet. */
  get isResting(): boolean {
    return this.process === null && this.#nextStart().spent;
  }

  get state(): EngineStatus['state'] {
    if (this.process !== null) return this.process.isReady ? 'ready' : 'starting';
    return this.isResting ? 'unavailable' : 'stopped';
  }

  /** As soon as the budget allows; after a rest `onRested` is called instead. */
  startSoon(): void {
    if (this.#stopStart !== null || this.process !== null || this.isClosed) return;
    const { waitMs, spent } = this.#nextStart();
    if (waitMs === 0) {
      this.#start();
      return;
    }
    this.#stopStart = this.#options.clock.schedule(() => {
      this.#stopStart = null;
      if (spent) this.#options.onRested();
      else this.#start();
    }, waitMs);
  }

  /** The error for a task that cannot wait until the rest is over. */
  refusal(): AppError {
    const seconds = Math.ceil(this.#nextStart().waitMs / 1000);
    const last = this.#lastFault === null ? '' : ` The last time it ${this.#lastFault.what}.`;
    const ended = `The engine process ended ${this.#options.limits.maxRestarts + 1} times in a short time and is not restarted for ${seconds} s.`;
    return new AppError('engine_unavailable', `${ended}${last} The log has its last words.`, {});
  }

  unloadAfter(idleMs: number | null): void {
    this.#idleMs = idleMs;
    this.#stopIdleTimer();
  }

  /** Called often: the time runs from the first moment without a task, and ends with the next one. */
  watchIdle(isIdle: boolean): void {
    if (!isIdle || this.#idleMs === null) {
      this.#stopIdleTimer();
      return;
    }
    this.#stopIdle ??= this.#options.clock.schedule(() => {
      this.#options.log.info({ pid: this.process?.pid }, 'idle: the engine process ends to free its memory');
      this.process?.kill('planned');
    }, this.#idleMs);
  }

  async close(): Promise<void> {
    this.#stopStart?.();
    this.#stopIdleTimer();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onClosed = resolve;
    if (this.process === null) return;
    this.process.kill('planned');
    await promise;
  }

  #nextStart(): { waitMs: number; spent: boolean } {
    return this.#budget.nextStart(this.#options.clock.monotonicMs());
  }

  #stopIdleTimer(): void {
    this.#stopIdle?.();
    this.#stopIdle = null;
  }

  #start(): void {
    const { spawn, limits, clock, log, config, onStart, onReady, onTick } = this.#options;
    const worker = config();
    onStart();
    this.process = new WorkerProcess(spawn(deviceParts(worker.device).provider), worker, limits, clock, {
      onReady,
      onTick,
      onBinding: (binding) => {
        this.binding = binding;
      },
      onEnd: (why, exit, lastLines) => this.#ended(why, exit, lastLines),
    });
    log.info({ pid: this.process.pid, device: worker.device }, 'engine process started');
  }

  #ended(why: ProcessFault | 'planned', exit: ProcessExit, lastLines: readonly string[]): void {
    this.process = null;
    this.#stopIdleTimer();
    if (this.#onClosed !== null) {
      this.#onClosed();
      return;
    }
    if (why !== 'planned') {
      this.restarts++;
      this.#lastFault = why;
      this.#budget.recordDeath(this.#options.clock.monotonicMs());
      this.#options.log.warn({ code: why.code, exit, lastLines }, `engine process ended: it ${why.what}`);
    }
    this.#options.onEnd(why);
  }
}
