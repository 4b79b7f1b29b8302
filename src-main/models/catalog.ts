import type { ModelType } from '#shared/domain/job.ts';

/** A repository that this program knows to run. */
export interface CatalogModel {
  repository: string;
  kind: ModelType;
  license: string;
  /** About what its download takes; the exact figure comes with the list of files, before the first weight. */
  sizeBytes: number;
}

/**
 * The published checkpoints of Z-Image-Turbo: text encoder 4 B, transformer 6.15 B and VAE. Sizes are estimates: by the shapes alone, weights take
 * 6.5 and 10.8 GB (`npm run bench -- fullsize`). Source of the licence: https://huggingface.co/Disty0/Z-Image-Turbo-SDNQ-int8 (apache-2.0); both are
 * quantizations of Tongyi-MAI/Z-Image-Turbo, and once the list of files is there the repository's own word counts.
 */
export const catalog: readonly CatalogModel[] = [
  { repository: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32', kind: 'uint4', license: 'apache-2.0', sizeBytes: 6_600_000_000 },
  { repository: 'Disty0/Z-Image-Turbo-SDNQ-int8', kind: 'int8', license: 'apache-2.0', sizeBytes: 10_900_000_000 },
];

/** The upscalers that come with the program; the first is the choice where nobody chose. */
export const bundledUpscalers = ['realesr-general-x4v3', 'RealESRGAN_x4plus'] as const;
/** Source: https://github.com/xinntao/Real-ESRGAN/blob/master/LICENSE */
export const UPSCALER_LICENSE = 'BSD-3-Clause';
