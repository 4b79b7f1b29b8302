import type { EngineHooks, EngineStatus, GenerateTask, TaskReport, UpscaleTask } from './engine.ts';
import type { SupervisedEngine } from './supervisor.ts';

/**
 * Several engines, one a device, as one: a task goes to a device that is free, and where there are several to one that ran the same checkpoint last. An
 * engine that gave its GPU up for the CPU, or that keeps dying, gets no more tasks while another has one.
 */
export function createEnginePool(engines: readonly [SupervisedEngine, ...SupervisedEngine[]]): SupervisedEngine {
  return engines.length === 1 ? engines[0] : new EnginePool(engines);
}

class EnginePool implements SupervisedEngine {
  readonly #engines: readonly [SupervisedEngine, ...SupervisedEngine[]];
  /** Tasks whose model work is not over. */
  readonly #busy = new Map<SupervisedEngine, number>();
  readonly #lastCheckpoint = new Map<SupervisedEngine, string>();

  constructor(engines: readonly [SupervisedEngine, ...SupervisedEngine[]]) {
    this.#engines = engines;
  }

  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    const engine = this.#choose(task.checkpointIdentity);
    this.#lastCheckpoint.set(engine, task.checkpointIdentity);
    return this.#run(engine, hooks, (counted) => engine.generate(task, counted, signal));
  }

  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    const engine = this.#choose(null);
    return this.#run(engine, hooks, (counted) => engine.upscale(task, counted, signal));
  }

  places(): number {
    return this.#usable().length;
  }

  warm(): void {
    for (const engine of this.#engines) engine.warm();
  }

  pid(): number | null {
    return this.#engines.map((engine) => engine.pid()).find((pid) => pid !== null) ?? null;
  }

  unloadAfter(idleMs: number | null): void {
    for (const engine of this.#engines) engine.unloadAfter(idleMs);
  }

  /** That of the first device that is in use, with the sums and the devices of all. */
  status(): EngineStatus {
    const all = this.#engines.map((engine) => engine.status());
    const [first = this.#engines[0]] = this.#usable();
    return {
      ...first.status(),
      residentBytes: all.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      restarts: all.reduce((sum, { restarts }) => sum + restarts, 0),
      devices: all.flatMap(({ devices }) => devices),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close()));
  }

  async #run(engine: SupervisedEngine, hooks: EngineHooks, start: (counted: EngineHooks) => Promise<TaskReport>): Promise<TaskReport> {
    this.#busy.set(engine, this.#tasksOf(engine) + 1);
    let isOver = false;
    const modelOver = () => {
      if (!isOver) this.#busy.set(engine, this.#tasksOf(engine) - 1);
      isOver = true;
    };
    try {
      return await start({
        ...hooks,
        onModelDone: () => {
          modelOver();
          hooks.onModelDone();
        },
      });
    } finally {
      modelOver();
    }
  }

  #tasksOf(engine: SupervisedEngine): number {
    return this.#busy.get(engine) ?? 0;
  }

  #choose(checkpoint: string | null): SupervisedEngine {
    const usable = this.#usable();
    const fewest = Math.min(...usable.map((engine) => this.#tasksOf(engine)));
    const free = usable.filter((engine) => this.#tasksOf(engine) === fewest);
    return free.find((engine) => this.#lastCheckpoint.get(engine) === checkpoint) ?? free[0] ?? this.#engines[0];
  }

  /** Never empty. Several engines on the one CPU would only share it. */
  #usable(): SupervisedEngine[] {
    const alive = this.#engines.filter((engine) => engine.status().state !== 'unavailable');
    const onGpu = alive.filter((engine) => engine.status().device !== 'cpu');
    return onGpu.length > 0 ? onGpu : [alive[0] ?? this.#engines[0]];
  }
}
