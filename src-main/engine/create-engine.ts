import { AppError } from '#shared/protocol/errors.ts';
import { DeviceQueue, type QueueDevice, type QueuedTask } from './device-queue.ts';
import type { Engine, EngineHooks, EngineStatus, GenerateTask, TaskReport, UpscaleTask } from './engine.ts';
import { createSupervisor, type EngineConfig, type Supervisor, type SupervisorOptions } from './supervisor.ts';

export interface EngineOptions extends Omit<SupervisorOptions, 'config' | 'onChange'> {
  /** How it runs on each device. */
  devices: readonly [EngineConfig, ...EngineConfig[]];
}

export interface SupervisedEngine extends Engine {
  /** Starts the processes before the first task asks for them. */
  warm(): void;
  /** A process that runs now, or null. */
  pid(): number | null;
}

/** An engine with one process for each device and one queue for all of them. */
export function createEngine(options: EngineOptions): SupervisedEngine {
  return new DevicesEngine(options);
}

interface Task extends QueuedTask {
  hooks: EngineHooks;
  run(supervisor: Supervisor, hooks: EngineHooks): Promise<TaskReport>;
  resolve(report: TaskReport): void;
  reject(error: unknown): void;
}

class Device implements QueueDevice<Task> {
  readonly supervisor: Supervisor;
  readonly #onChange: () => void;
  #running = 0;
  lastCheckpoint: string | null = null;

  constructor(supervisor: Supervisor, onChange: () => void) {
    this.supervisor = supervisor;
    this.#onChange = onChange;
  }

  get availability(): 'free' | 'busy' | 'resting' {
    if (this.supervisor.status().state === 'unavailable') return 'resting';
    return this.#running > 0 ? 'busy' : 'free';
  }

  get isOnCpu(): boolean {
    return this.supervisor.status().device === 'cpu';
  }

  run(task: Task): void {
    this.#running++;
    let isOver = false;
    const modelOver = () => {
      if (!isOver) this.#running--;
      isOver = true;
    };
    if (task.checkpoint !== null) this.lastCheckpoint = task.checkpoint;
    const onModelDone = () => {
      modelOver();
      task.hooks.onModelDone();
      this.#onChange();
    };
    task.hooks.onModelStart?.();
    task
      .run(this.supervisor, { ...task.hooks, onModelDone })
      .finally(modelOver)
      .then(task.resolve, task.reject)
      .finally(this.#onChange);
  }
}

class DevicesEngine implements SupervisedEngine {
  readonly #devices: readonly [Device, ...Device[]];
  readonly #queue: DeviceQueue<Task>;
  readonly #listeners: (() => void)[] = [];
  #nextId = 1;
  #isClosing = false;

  constructor({ devices: [first, ...others], ...options }: EngineOptions) {
    const onChange = () => this.#changed();
    const deviceOf = (config: EngineConfig) => new Device(createSupervisor({ ...options, config, onChange }), onChange);
    this.#devices = [deviceOf(first), ...others.map(deviceOf)];
    this.#queue = new DeviceQueue(this.#devices);
  }

  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#run('start', task.checkpointIdentity, hooks, signal, (supervisor, counted) => supervisor.generate(task, counted, signal));
  }

  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#run('continue', null, hooks, signal, (supervisor, counted) => supervisor.upscale(task, counted, signal));
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
    for (const { supervisor } of this.#devices) supervisor.warm();
  }

  pid(): number | null {
    return this.#devices.map(({ supervisor }) => supervisor.pid()).find((pid) => pid !== null) ?? null;
  }

  unloadAfter(idleMs: number | null): void {
    for (const { supervisor } of this.#devices) supervisor.unloadAfter(idleMs);
  }

  /** That of the first device that is in use, with the sums and the devices of all. */
  status(): EngineStatus {
    const all = this.#devices.map(({ supervisor }) => supervisor.status());
    const usable = this.#queue.usable();
    const first = this.#devices.find((device) => usable.includes(device)) ?? this.#devices[0];
    return {
      ...first.supervisor.status(),
      residentBytes: all.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      restarts: all.reduce((sum, { restarts }) => sum + restarts, 0),
      devices: all.flatMap(({ devices }) => devices),
    };
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const task of this.#queue.takeAll()) task.reject(new AppError('shutting_down', 'The program is shutting down; the task did not finish.', {}));
    await Promise.all(this.#devices.map(({ supervisor }) => supervisor.close()));
  }

  #run(turn: Task['turn'], checkpoint: string | null, hooks: EngineHooks, signal: AbortSignal, run: Task['run']): Promise<TaskReport> {
    if (this.#isClosing) return Promise.reject(new AppError('shutting_down', 'The program is shutting down; the task did not finish.', {}));
    if (signal.aborted) return Promise.reject(cancelled());
    return new Promise<TaskReport>((resolve, reject) => {
      const onAbort = () => {
        if (this.#queue.remove(task)) task.reject(cancelled());
      };
      const settle = () => signal.removeEventListener('abort', onAbort);
      const task: Task = {
        id: this.#nextId++,
        turn,
        checkpoint,
        hooks,
        run,
        resolve: (report) => {
          settle();
          resolve(report);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.add(task);
      this.#changed();
    });
  }

  #changed(): void {
    this.#queue.dispatch();
    if (this.hasCapacity()) for (const listener of this.#listeners) listener();
  }
}

function cancelled(): AppError {
  return new AppError('cancelled', 'The task was cancelled.', {});
}
