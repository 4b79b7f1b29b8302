import type { PngText } from '#main/lib/png.ts';
import type { BindingInUse, DeviceName } from '#shared/domain/device.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { MemoryChoice, PlannedMemory } from '#shared/domain/memory-plan.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';

/** `exact` is float32 throughout; `fast` takes int8 activations where it pays. */
export type Accuracy = 'exact' | 'fast';

export type { PngText } from '#main/lib/png.ts';

/** How far the running stage is: `done` of `total` steps, tiles, bands or bytes. In `generating` message k follows forward k, and done reaches total. */
export interface EngineProgress {
  stage: ProgressStage;
  done: number;
  total: number;
}

/** A small picture of the latents so far, RGB [height, width, 3]. */
export interface EnginePreview {
  step: number;
  width: number;
  height: number;
  rgb: Uint8Array<ArrayBuffer>;
}

export interface EngineHooks {
  /** A device has been given to the task; called again when it has to run again. */
  onModelStart?(): void;
  onProgress(progress: EngineProgress): void;
  onPreview?(preview: EnginePreview): void;
  /** Model work is over: the next task may have the device while this one is encoded and written. Called exactly once before success. */
  onModelDone(): void;
}

export interface GenerateTask {
  params: TextToImageParams;
  /** Checkpoint folder in Hugging Face layout. */
  checkpointDir: string;
  /** `Checkpoint.fingerprint` of that folder: compiled graphs are kept under it. */
  checkpointIdentity: string;
  /** Where the PNG goes, complete and fsynced when the promise resolves. The caller gives it its final name, and removes it after a rejection. */
  outputPath: string;
  texts: PngText[];
}

export interface UpscaleTask {
  /** PNG to enlarge four times. */
  inputPath: string;
  /** safetensors file of the upscaler. */
  upscalerPath: string;
  /** `Upscaler.fingerprint` of that file. */
  upscalerIdentity: string;
  outputPath: string;
  texts: PngText[];
}

/** Wall time in milliseconds of what a task went through, by stage, and the device that ran it. */
export interface TaskReport {
  stagesMs: Partial<Record<ProgressStage, number>>;
  device: DeviceName;
  deviceReason: string;
  accuracy: Accuracy;
  /** Why it is another device or accuracy than was chosen, a sentence each; empty where all went as it was to go. */
  setbacks: string[];
  width: number;
  height: number;
}

export interface MemoryStatus {
  /** What the next checkpoint is loaded by: `auto` plans by what is free. */
  choice: MemoryChoice;
  /** Whether that is so because memory ran out under another plan. */
  steppedDown: boolean;
  /** Of the checkpoint that is loaded or was last. */
  planned: PlannedMemory | null;
}

export interface EngineStatus {
  /** `stopped` until the first task, or after a crash while waiting to start again. */
  state: 'stopped' | 'starting' | 'ready' | 'unavailable';
  device: DeviceName;
  deviceReason: string;
  accuracy: Accuracy;
  memory: MemoryStatus;
  /** How ONNX Runtime is called; null before a process has told it. */
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
  /** Continues a job that has begun, so it runs before waiting `generate` tasks. */
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
