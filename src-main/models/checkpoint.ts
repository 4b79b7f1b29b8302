import type { ModelType } from '#shared/domain/job.ts';

/** A checkpoint that can run: where it is, what it is and who it is. */
export interface Checkpoint {
  /** `storybook-uint4`, `Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32`, or a folder's name. */
  name: string;
  dir: string;
  modelType: ModelType;
  /** True for those that come with the program. */
  bundled: boolean;
  /** SHA-256 over the hashes of all its files; another content is another identity. */
  identity: string;
  sizeBytes: number;
  license: string;
  /** Picture sides are multiples of this; other sizes are made at the next multiple and cropped. */
  sizeUnitPx: number;
}

/** An upscaler that can run. */
export interface Upscaler {
  name: string;
  path: string;
  identity: string;
  sizeBytes: number;
  license: string;
}

/** What jobs ask of the registry. Rejections are `AppError`s (`model_not_installed`, `checkpoint_damaged` …). */
export interface ModelRegistry {
  /** The checkpoint that runs for this `model_type` now: an installed or chosen one before the bundled one. */
  checkpointFor(modelType: ModelType): Promise<Checkpoint>;
  upscaler(): Promise<Upscaler>;
  list(): Promise<Checkpoint[]>;
}
