import type { MemoryChoice, MemoryPlan, PlannedMemory } from '#shared/domain/memory-plan.ts';
import type { MemoryStatus } from './engine.ts';
import type { EngineTask } from './engine-task.ts';
import type { EngineRequest } from './loaded-models.ts';
import { type Accuracy, type Precision, precisions, type WorkerConfig } from './protocol.ts';
import type { FaultedTask, RetryDecision } from './retry-policy.ts';

export interface EngineConfig extends WorkerConfig {
  accuracy: Accuracy;
  /** The plan to begin with. A task that runs out of memory runs once more by the next plan that needs clearly less, and so do those after it. */
  memory: MemoryChoice;
}

/** How tasks run on a device, and what earlier faults have changed about it. */
export class DeviceState {
  readonly accuracy: Accuracy;
  #worker: WorkerConfig;
  #memory: MemoryStatus;
  /** The plan to use next should memory run out; undefined before the process has planned. */
  #nextPlan: MemoryPlan | null | undefined;
  /** An upscaler that failed on the device runs on the CPU from then on. */
  #upscalesOnCpu = false;
  /** It has finished an image. A device that fails before that steps down to a safer precision, and is given up for the CPU in the end. */
  isProven = false;

  constructor({ accuracy, memory, ...worker }: EngineConfig) {
    this.accuracy = accuracy;
    this.#worker = worker;
    this.#memory = { choice: memory, steppedDown: false, planned: null };
  }

  get worker(): WorkerConfig {
    return this.#worker;
  }

  get memory(): MemoryStatus {
    return this.#memory;
  }

  get isGpu(): boolean {
    return this.#worker.device !== 'cpu';
  }

  processStarted(): void {
    this.#nextPlan = undefined;
  }

  /** True where the plan is another than before. */
  planned({ next, ...planned }: PlannedMemory & { next: MemoryPlan | null }): boolean {
    const isNew = planned.plan !== this.#memory.planned?.plan;
    this.#nextPlan = next;
    this.#memory = { ...this.#memory, planned };
    return isNew;
  }

  requestFor({ id, work, hooks, isExact }: EngineTask): EngineRequest {
    const shared = { id, accuracy: isExact ? ('exact' as const) : this.accuracy };
    return work.type === 'generate'
      ? { type: 'generate', params: { ...work.task, ...shared, memory: this.#memory.choice, previews: hooks.onPreview !== undefined } }
      : { type: 'upscale', params: { ...work.task, ...shared, onCpu: this.#upscalesOnCpu } };
  }

  /** The task as the retry policy looks at it. */
  describe(task: EngineTask, isInnocent: boolean): FaultedTask {
    const { type } = task.work;
    return {
      type,
      isInnocent,
      faults: task.faults,
      accuracy: task.isExact ? 'exact' : this.accuracy,
      onCpu: this.#upscalesOnCpu,
      nextPlan: type === 'generate' ? this.#planBelow() : null,
      device: { isGpu: this.isGpu, isProven: this.isProven, hasSafer: this.accuracy === 'fast' && this.#saferPrecision() !== null },
    };
  }

  /** Changes what the decision changes. Returns the sentence for the task and the log, or null where nothing has changed. */
  apply(decision: RetryDecision, task: EngineTask, reason: string): string | null {
    if (decision === 'retry_exact') {
      task.isExact = true;
      return `${reason} It was made again in float32.`;
    }
    if (decision === 'step_down_memory') {
      const plan = this.#planBelow() ?? 'in_turn';
      this.#memory = { ...this.#memory, choice: plan, steppedDown: true };
      return `There was not enough memory; the parts of the checkpoint share it by the plan ${plan} from now on.`;
    }
    if (decision === 'upscale_on_cpu') {
      this.#upscalesOnCpu = true;
      return `The upscaler failed on ${this.#worker.device} and runs on the CPU from now on: ${reason}`;
    }
    if (decision === 'step_down_precision') return this.#stepDownPrecision(reason);
    return decision === 'give_up_device' ? this.giveUp(reason) : null;
  }

  #saferPrecision(): Precision | null {
    const { gpuPrecision } = this.#worker;
    if (!this.isGpu || gpuPrecision === undefined) return null;
    return precisions[precisions.indexOf(gpuPrecision) + 1] ?? null;
  }

  #stepDownPrecision(reason: string): string {
    const { device, gpuPrecision = 'fp16' } = this.#worker;
    const safer = this.#saferPrecision() ?? 'fp32';
    const deviceReason = `${device} failed in ${gpuPrecision} and computes in ${safer} from now on: ${reason}`;
    this.#worker = { ...this.#worker, gpuPrecision: safer, deviceReason };
    return deviceReason;
  }

  /** For good: a device that cannot make its first image would fail at every other. */
  giveUp(reason: string): string {
    const deviceReason = `${this.#worker.device} was given up for the CPU: ${reason}`;
    this.#worker = { ...this.#worker, device: 'cpu', deviceReason };
    return deviceReason;
  }

  /** A process that died before it planned had everything to load. */
  #planBelow(): MemoryPlan | null {
    if (this.#nextPlan !== undefined) return this.#nextPlan;
    return this.#memory.choice === 'auto' || this.#memory.choice === 'resident' ? 'in_turn' : null;
  }
}
