import type { ModelType } from '#shared/domain/job.ts';

/** A repository that this program knows to run. */
export interface CatalogModel {
  repository: string;
  kind: ModelType;
  license: string;
  /** What its download takes, rounded; the exact figure comes with the list of files. */
  sizeBytes: number;
}

/** The published checkpoints of Z-Image-Turbo: text encoder 4 B, transformer 6.15 B and VAE. */
export const catalog: readonly CatalogModel[] = [
  { repository: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32', kind: 'uint4', license: 'apache-2.0', sizeBytes: 6_600_000_000 },
  { repository: 'Disty0/Z-Image-Turbo-SDNQ-int8', kind: 'int8', license: 'apache-2.0', sizeBytes: 10_900_000_000 },
];

/** The upscalers that come with the program; the first is the choice where nobody chose. */
export const bundledUpscalers = ['realesr-general-x4v3', 'RealESRGAN_x4plus'] as const;
export const UPSCALER_LICENSE = 'BSD-3-Clause';
