import type { BindingInUse, DeviceName } from '#shared/domain/device.ts';
import type { MemoryChoice, PlannedMemory } from '#shared/domain/memory-plan.ts';
import type { Accuracy, EnginePreview, EngineProgress, GenerateTask, UpscaleTask, WorkerReport } from './protocol.ts';

export type { Accuracy, EnginePreview, EngineProgress, GenerateTask, InputFiles, Provenance, UpscaleTask } from './protocol.ts';

export interface EngineHooks {
  /** A device has been given to the task; called again when it has to run again. */
  onModelStart?(): void;
  /** At most ten times a second within a stage; each step of `generating`, and the first and last report of any stage. */
  onProgress(progress: EngineProgress): void;
  onPreview?(preview: EnginePreview): void;
  /** Model work is over: the next task may have the device while this one is encoded and written. Called exactly once before success. */
  onModelDone(): void;
}

export interface TaskReport extends WorkerReport {
  /** Why it is another device or accuracy than was chosen, a sentence each; empty where nothing had to be changed. */
  setbacks: string[];
}

export interface MemoryStatus {
  /** The plan that the next checkpoint is loaded by; `auto` plans by what is free. */
  choice: MemoryChoice;
  /** Whether that is so because memory ran out under another plan. */
  steppedDown: boolean;
  /** Memory plan of the most recently loaded checkpoint. */
  planned: PlannedMemory | null;
}

export interface EngineStatus {
  /** `stopped` until the first task, or after a crash while waiting to start again. */
  state: 'stopped' | 'starting' | 'ready' | 'unavailable';
  device: DeviceName;
  deviceReason: string;
  accuracy: Accuracy;
  memory: MemoryStatus;
  /** How ONNX Runtime is called; null before a process has reported it. */
  binding: BindingInUse | null;
  residentBytes: number;
  restarts: number;
  /** Every device that tasks may be given; one unless there are several cards. */
  devices: DeviceStatus[];
}

export type DeviceStatus = Pick<EngineStatus, 'state' | 'device' | 'deviceReason' | 'residentBytes'>;

/**
 * What jobs see of the engine. It takes any number of tasks; those that wait for a device run in the order in which they came, upscales before new images.
 * Rejections are `AppError`s; an abort rejects with code `cancelled` within one step of the model.
 */
export interface Engine {
  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport>;
  /** Runs before waiting tasks that start a job, unless it starts one itself. */
  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport>;
  status(): EngineStatus;
  /** Whether a new job should begin now. False while no device can run anything: its process keeps crashing and is not restarted yet. */
  hasCapacity(): boolean;
  /** Calls `listener` whenever `hasCapacity` may have become true. */
  onCapacity(listener: () => void): void;
  /** How many tasks can be on a device at the same time, at least 1; fewer once a device was given up. */
  deviceCount(): number;
  /** The process ends this long after its last task and frees its memory; null lets it stay. The next task starts another. */
  unloadAfter(idleMs: number | null): void;
  /** Ends the process; running tasks reject with `shutting_down`. */
  close(): Promise<void>;
}
