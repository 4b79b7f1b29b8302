/** A task in the queue. `again` is one that lost its process, `continue` the next stage of a job that has begun, `start` a new job. */
export interface QueuedTask {
  readonly id: number;
  readonly turn: 'again' | 'continue' | 'start';
  /** Fingerprint of the checkpoint that it needs, or null. */
  readonly checkpoint: string | null;
}

/** A device that tasks run on, one at a time. */
export interface QueueDevice<T extends QueuedTask> {
  /** `resting`: its process keeps dying; a task that it is given all the same is refused. */
  readonly availability: 'free' | 'busy' | 'resting';
  /** It was a GPU and runs on the CPU now, or it is the CPU. */
  readonly isOnCpu: boolean;
  /** Fingerprint of the checkpoint that it ran last. */
  readonly lastCheckpoint: string | null;
  run(task: T): void;
}

const TURNS = { again: 0, continue: 1, start: 2 } as const;

/**
 * Decides what runs next: the one place where tasks wait for a device. Jobs that have begun go before new ones, each kind in its order. A task goes to a
 * free device, and of several to the one that ran its checkpoint last.
 */
export class DeviceQueue<T extends QueuedTask> {
  readonly #devices: readonly QueueDevice<T>[];
  #waiting: T[] = [];
  #isDispatching = false;

  constructor(devices: readonly QueueDevice<T>[]) {
    this.#devices = devices;
  }

  /** `dispatch` lets it begin. */
  add(task: T): void {
    const at = this.#waiting.findIndex((other) => comesBefore(task, other));
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, task);
  }

  /** False where it does not wait. */
  remove(task: T): boolean {
    const at = this.#waiting.indexOf(task);
    if (at === -1) return false;
    this.#waiting.splice(at, 1);
    return true;
  }

  takeAll(): T[] {
    return this.#waiting.splice(0);
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Hands out what can run now. To be called whenever a task came or a device changed. */
  dispatch(): void {
    // a device may refuse a task at once, which ends here again
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    try {
      for (let [task] = this.#waiting; task !== undefined; [task] = this.#waiting) {
        const device = this.#deviceFor(task);
        if (device === undefined) return;
        this.#waiting.shift();
        device.run(task);
      }
    } finally {
      this.#isDispatching = false;
    }
  }

  /** Devices that share the work, at least one. One on the CPU gets none while another has a GPU: several engines on one CPU would only share it. */
  usable(): readonly QueueDevice<T>[] {
    const alive = this.#devices.filter(({ availability }) => availability !== 'resting');
    const onGpu = alive.filter(({ isOnCpu }) => !isOnCpu);
    if (onGpu.length > 0) return onGpu;
    return alive.length > 0 ? alive.slice(0, 1) : this.#devices.slice(0, 1);
  }

  #deviceFor({ checkpoint }: T): QueueDevice<T> | undefined {
    const free = this.usable().filter(({ availability }) => availability !== 'busy');
    return free.find(({ lastCheckpoint }) => checkpoint !== null && lastCheckpoint === checkpoint) ?? free[0];
  }
}

function comesBefore(a: QueuedTask, b: QueuedTask): boolean {
  return TURNS[a.turn] === TURNS[b.turn] ? a.id < b.id : TURNS[a.turn] < TURNS[b.turn];
}
