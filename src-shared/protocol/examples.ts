import type { CudaPackEntry } from '../domain/cuda-pack.ts';
import type { ModelEntry } from '../domain/model.ts';
import { PROGRAM_NAME, RECIPE_VERSION, type Recipe } from '../domain/recipe.ts';

/** Values that the examples of the API pages share. */

export const exampleJobId = '3f1c9ab27d5e40816cb2f04e9d8a7715c60b3e92f14d8a057be6c91d20f38a4e';
export const exampleImageHash = '9d3a1f0c5b7e48d2a6f1c0b39e8d7a6554f3e2d1c0b9a8978665544332211000';
export const exampleFile = '20260204-a-lighthouse-at-dusk-3f1c9ab2';
export const exampleResult = { filename: `${exampleFile}.png`, path: `outputs/${exampleFile}.png`, upscaled_filename: `${exampleFile}-upscaled.png` };
export const exampleParams = { prompt: 'a lighthouse at dusk', width: 1024, height: 1024, steps: 9, guidance_scale: 0, seed: 42, model_type: 'uint4' as const };

/** Of the upscaled image. */
export const exampleRecipe: Recipe = {
  version: RECIPE_VERSION,
  role: 'upscaled',
  job_id: exampleJobId,
  task_type: 'text_to_image',
  params: exampleParams,
  checkpoint: { name: 'storybook-uint4', identity: '7be1c0a45d1f3e62' },
  upscaler: { name: 'realesr-general-x4v3', identity: '09d2c1f04b7a5e31' },
  program: { name: PROGRAM_NAME, version: '0.1.0' },
  created_at: 1_770_163_200.25,
  made_on: { device: 'cpu', provider: 'cpu', processor: 'AMD EPYC 9554', accuracy: 'fast', compiler: 10, onnxruntime: '1.30.0' },
  pixels: { width: 4096, height: 4096, sha256: 'c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a' },
  original_sha256: '2c624232cdd221771294dfbb310aca000a0df6ac8b66b696d90ef06fdefb64a3',
};

/** During its installation. */
export const exampleCudaPack: CudaPackEntry = {
  state: 'downloading',
  version: '1.30.0-cuda13.1.1-cudnn9.20.0',
  onnxruntime: '1.30.0',
  source: 'github.com, developer.download.nvidia.com',
  path: null,
  bytes_done: 420_000_000,
  bytes_total: 1_800_000_000,
  bytes_per_second: 42_000_000,
  seconds_left: 33,
  installed_bytes: 1_480_000_000,
  error: null,
  revision: 1_770_163_200_042,
  licences: [{ name: 'MIT License', covers: 'the CUDA execution provider of ONNX Runtime', url: 'https://github.com/microsoft/onnxruntime/blob/main/LICENSE' }],
  others: [],
};

/** During its download. */
export const exampleModel: ModelEntry = {
  name: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32',
  kind: 'uint4',
  state: 'downloading',
  active: false,
  license: 'apache-2.0',
  source: {
    type: 'hub',
    repository: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32',
    revision: '6c5d0f1e2a3b4c5d6e7f8091a2b3c4d5e6f70819',
    path: null,
  },
  identity: null,
  bytes_done: 1_650_000_000,
  bytes_total: 6_600_000_000,
  bytes_per_second: 42_000_000,
  seconds_left: 118,
  error: null,
  compilation: null,
};
