import type { InputFiles } from '#main/engine/engine.ts';
import type { JobWork } from '#shared/domain/job.ts';
import { findInput, type InputImages } from '../input-images.ts';
import type { ModelPaths } from './model-paths.ts';

type GenerateParams = Extract<JobWork, { params: { prompt: string } }>['params'];

/** What a job's image is made from beside its params; null for a plain text_to_image. */
export async function inputFiles(job: JobWork, inputs: Pick<InputImages, 'find'>, models: ModelPaths): Promise<InputFiles | null> {
  if (job.taskType === 'upscale') return null;
  const files = await promptInputs(job.params, models);
  const { control } = job.params;
  if (control !== undefined) files.control = { path: (await findInput(inputs, control.image, 'control.image')).path, ...(await models.controlNetOf(control)) };
  if (job.taskType !== 'text_to_image') {
    const { image, strength, fit } = job.params;
    files.source = { path: (await findInput(inputs, image, 'image')).path, strength, fit };
  }
  if (job.taskType === 'inpaint') {
    const { mask, expand = null, feather, composite = true, padding } = job.params;
    const path = mask === undefined ? null : (await findInput(inputs, mask, 'mask')).path;
    files.mask = { path, expand, onlyMasked: padding === undefined ? null : { paddingPx: padding }, featherPx: feather, composite };
  }
  return Object.keys(files).length === 0 ? null : files;
}

/** The inputs without images that every task which generates may have. Throws `model_not_installed`. */
async function promptInputs({ negative_prompt: negativePrompt, loras = [] }: GenerateParams, models: ModelPaths): Promise<InputFiles> {
  return {
    ...(negativePrompt === undefined ? {} : { negativePrompt }),
    ...(loras.length === 0 ? {} : { loras: await Promise.all(loras.map((lora) => models.loraOf(lora))) }),
  };
}
