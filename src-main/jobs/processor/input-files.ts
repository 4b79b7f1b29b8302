import type { InputFiles } from '#main/engine/engine.ts';
import type { JobWork } from '#shared/domain/job.ts';
import { findInput, type InputImages } from '../input-images.ts';
import type { ModelPaths } from './model-paths.ts';

type GenerateParams = Extract<JobWork, { params: { prompt: string } }>['params'];

/** What a job's image is made from beside its params; null for a plain text_to_image. */
export async function inputFiles(job: JobWork, inputs: Pick<InputImages, 'find'>, models: ModelPaths): Promise<InputFiles | null> {
  if (job.taskType === 'upscale') return null;
  const files = await promptInputs(job.params, models);
  if (job.taskType !== 'text_to_image') {
    const { image, strength, fit } = job.params;
    files.source = { path: (await findInput(inputs, image, 'image')).path, strength, fit };
  }
  if (job.taskType === 'inpaint') {
    const { mask, expand = null, feather, composite = true } = job.params;
    files.mask = { path: mask === undefined ? null : (await findInput(inputs, mask, 'mask')).path, expand, featherPx: feather, composite };
  }
  return Object.keys(files).length === 0 ? null : files;
}

/** The inputs that every task which generates may have. Throws `model_not_installed`. */
async function promptInputs({ negative_prompt: negativePrompt, loras = [] }: GenerateParams, models: ModelPaths): Promise<InputFiles> {
  return {
    ...(negativePrompt === undefined ? {} : { negativePrompt }),
    ...(loras.length === 0 ? {} : { loras: await Promise.all(loras.map((lora) => models.loraOf(lora))) }),
  };
}
