import { type MonotonicClock, systemClock } from '#main/lib/clock.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import { DeviceQueue } from './device-queue.ts';
import type { EngineConfig } from './device-state.ts';
import type { Engine, EngineHooks, EngineStatus, GenerateTask, TaskReport, UpscaleTask } from './engine.ts';
import type { SpawnEngine } from './engine-process.ts';
import { EngineTask, type EngineWork } from './engine-task.ts';
import { type EngineLimits, Supervisor } from './supervisor.ts';
import type { EngineLog } from './worker-lifecycle.ts';

export interface EngineOptions {
  spawn: SpawnEngine;
  /** How it runs on each device. */
  devices: readonly [EngineConfig, ...EngineConfig[]];
  log: EngineLog;
  limits?: Partial<EngineLimits>;
  clock?: MonotonicClock;
}

export interface SupervisedEngine extends Engine {
  /** Starts the processes before the first task asks for them. */
  warm(): void;
  /** A process that runs now, or null. */
  pid(): number | null;
}

const defaultLimits: EngineLimits = {
  heartbeatTimeoutMs: 20_000,
  startTimeoutMs: 60_000,
  taskTimeoutMs: 30 * 60_000,
  cancelGraceMs: 2_000,
  finishGraceMs: 60_000,
  maxRestarts: 3,
  windowMs: 5 * 60_000,
  backoffMs: [100, 1_000, 5_000],
};

/**
 * An engine whose processes may die at any moment: one for each device, and one queue for all of them. A task whose process died runs once more from its
 * beginning, then rejects with `engine_crashed`, `engine_hung` or `engine_out_of_memory`. A process that keeps dying is not started until the window of the
 * limits has passed; tasks that come in between reject with `engine_unavailable`.
 */
export function createEngine(options: EngineOptions): SupervisedEngine {
  return new DevicesEngine(options);
}

class DevicesEngine implements SupervisedEngine {
  readonly #devices: readonly [Supervisor, ...Supervisor[]];
  readonly #queue: DeviceQueue<EngineTask>;
  readonly #listeners: (() => void)[] = [];
  #nextId = 1;
  #isClosing = false;

  constructor({ spawn, devices: [first, ...others], log, limits = {}, clock = systemClock }: EngineOptions) {
    const deviceOf = (config: EngineConfig) =>
      new Supervisor({
        ...{ spawn, config, log, clock },
        limits: { ...defaultLimits, ...limits },
        requeue: (task) => {
          task.turn = 'again';
          this.#queue.add(task);
        },
        onChange: () => this.#changed(),
      });
    this.#devices = [deviceOf(first), ...others.map(deviceOf)];
    this.#queue = new DeviceQueue(this.#devices);
  }

  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#run({ type: 'generate', task }, hooks, signal);
  }

  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#run({ type: 'upscale', task }, hooks, signal);
  }

  hasCapacity(): boolean {
    return !this.#isClosing && this.#devices.some(({ availability }) => availability !== 'resting');
  }

  onCapacity(listener: () => void): void {
    this.#listeners.push(listener);
  }

  deviceCount(): number {
    return this.#queue.usable().length;
  }

  warm(): void {
    for (const device of this.#devices) device.warm();
  }

  pid(): number | null {
    return this.#devices.map(({ worker }) => worker.process?.pid).find((pid) => pid !== undefined) ?? null;
  }

  unloadAfter(idleMs: number | null): void {
    for (const device of this.#devices) device.unloadAfter(idleMs);
  }

  /** That of the first device that is in use, with the sums and the devices of all. */
  status(): EngineStatus {
    const devices = this.#devices.map(({ status }) => status);
    const usable = this.#queue.usable();
    const first = this.#devices.find((device) => usable.includes(device)) ?? this.#devices[0];
    return {
      ...first.status,
      accuracy: first.state.accuracy,
      memory: first.state.memory,
      binding: first.worker.binding,
      residentBytes: devices.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      restarts: this.#devices.reduce((sum, { worker }) => sum + worker.restarts, 0),
      devices,
    };
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const task of this.#queue.takeAll()) task.reject(shuttingDown());
    await Promise.all(this.#devices.map((device) => device.close()));
  }

  #run(work: EngineWork, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    if (this.#isClosing) return Promise.reject(shuttingDown());
    if (signal.aborted) return Promise.reject(appError('cancelled', {}));
    return new Promise<TaskReport>((resolve, reject) => {
      const onAbort = () => {
        if (this.#queue.remove(task)) task.reject(appError('cancelled', {}));
        else for (const device of this.#devices) device.cancel(task);
      };
      const task = new EngineTask(this.#nextId++, work, hooks, signal, (answer) => {
        signal.removeEventListener('abort', onAbort);
        if (answer instanceof AppError) reject(answer);
        else resolve(answer);
      });
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.add(task);
      this.#changed();
    });
  }

  #changed(): void {
    if (this.#isClosing) return;
    this.#queue.dispatch();
    if (this.hasCapacity()) for (const listener of this.#listeners) listener();
  }
}

function shuttingDown(): AppError {
  return new AppError('shutting_down', 'The program is shutting down; the task did not finish.', {});
}
