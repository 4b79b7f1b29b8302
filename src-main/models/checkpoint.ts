import type { Capabilities } from '#shared/domain/architecture.ts';
import type { ModelType } from '#shared/domain/job.ts';
import type { ExtraMetadata } from '#shared/domain/model.ts';
import type { AppError } from '#shared/protocol/errors.ts';

/** A checkpoint that can run. */
export interface Checkpoint {
  /** `storybook-uint4`, `Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32`, or the name of a folder. */
  name: string;
  dir: string;
  modelType: ModelType;
  /** What it can do; its architecture, tasks, defaults and limits. */
  capabilities: Capabilities;
  /** Whether it comes with the program. */
  bundled: boolean;
  /** SHA-256 over the hashes of all its files; `identity` in the API. */
  fingerprint: string;
  sizeBytes: number;
  license: string;
  /** Image sides are multiples of this; other sizes are generated at the next multiple and cropped. */
  sizeUnitPx: number;
}

/** An upscaler that can run. */
export interface Upscaler {
  name: string;
  path: string;
  fingerprint: string;
  sizeBytes: number;
  license: string;
}

export interface BrokenUpscaler {
  name: string;
  path: string;
  error: AppError;
}

/** A LoRA or a ControlNet: one file that changes how a checkpoint draws. */
export interface ExtraModel {
  /** Its file name without `.safetensors`, or the name of its repository. */
  name: string;
  path: string;
  /** SHA-256 of the file. */
  fingerprint: string;
  sizeBytes: number;
  metadata?: ExtraMetadata;
}

/** The models that can run. Rejects with an `AppError`: `model_not_installed`, `checkpoint_damaged` … */
export interface ModelRegistry {
  /** The active checkpoint of this `model_type`. */
  checkpointFor(modelType: ModelType): Promise<Checkpoint>;
  /** The active upscaler. */
  upscaler(): Promise<Upscaler>;
  /** The bundled upscalers that exist; a broken one has an error. */
  upscalers(): Promise<(Upscaler | BrokenUpscaler)[]>;
  /** By name. */
  loras(): Promise<ExtraModel[]>;
  /** By name. */
  controlNets(): Promise<ExtraModel[]>;
  /** Every checkpoint that can run; broken ones are left out. Throws `too_many_open_files`. */
  list(): Promise<Checkpoint[]>;
}
