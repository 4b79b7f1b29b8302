import type { ModelType } from '#shared/domain/job.ts';

/** A repository that this program is known to run. */
export interface CatalogModel {
  repository: string;
  kind: ModelType;
  license: string;
  /** Estimated size of the download; the file list has the exact size. */
  sizeBytes: number;
}

/**
 * The published checkpoints of Z-Image-Turbo: text encoder 4 B, transformer 6.15 B and VAE. Weights take 6.5 and 10.8 GB by their shapes
 * (`npm run bench -- fullsize`). Licence: https://huggingface.co/Disty0/Z-Image-Turbo-SDNQ-int8; the repository's own licence replaces it.
 * FLUX.2 [klein] 4B. Licence: https://huggingface.co/black-forest-labs/FLUX.2-klein-4B
 */
export const catalog: readonly [CatalogModel, ...CatalogModel[]] = [
  { repository: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32', kind: 'uint4', license: 'apache-2.0', sizeBytes: 6_600_000_000 },
  { repository: 'Disty0/Z-Image-Turbo-SDNQ-int8', kind: 'int8', license: 'apache-2.0', sizeBytes: 10_900_000_000 },
  { repository: 'Disty0/FLUX.2-klein-4B-SDNQ-4bit-dynamic', kind: 'klein', license: 'apache-2.0', sizeBytes: 5_480_000_000 },
];

/** The bundled upscalers; the first is the default. */
export const bundledUpscalers = ['realesr-general-x4v3', 'RealESRGAN_x4plus'] as const;
/** Source: https://github.com/xinntao/Real-ESRGAN/blob/master/LICENSE */
export const UPSCALER_LICENSE = 'BSD-3-Clause';
