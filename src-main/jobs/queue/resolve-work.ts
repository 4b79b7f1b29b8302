import { quoteValue } from '#main/lib/quote-value.ts';
import type { Checkpoint, ExtraModel, ModelRegistry, Upscaler } from '#main/models/checkpoint.ts';
import type { ImageSize, InpaintParams, JobWork, TextToImageParams } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CreateJob } from '#shared/protocol/messages.ts';
import { DEFAULT_PADDING_PX, MAX_INPUT_PIXELS } from '#shared/protocol/messages.ts';
import { type InputImages, resolveInput, resolveMask } from '../input-images.ts';

type GenerateParams = Extract<CreateJob, { task_type: 'text_to_image' }>['params'];
type InpaintRequest = Extract<CreateJob, { task_type: 'inpaint' }>['params'];
type UpscaleRequest = Extract<CreateJob, { task_type: 'upscale' }>['params'];

/** A job's work and the models that it needs. */
export type ResolvedWork = JobWork & { checkpoint: Checkpoint | null; upscaler: Upscaler | null };

export interface WorkSources {
  registry: ModelRegistry;
  inputs: InputImages;
  /** The real path of an image made here, or null. */
  imageFile: (filename: string) => Promise<string | null>;
}

/**
 * Finds the models and images that a `create_job` names, and fills in its params. The function that it returns rejects with `bad_param`, `unknown_image`,
 * `model_not_installed` and what reading the files throws.
 */
export function createWorkResolver(parts: WorkSources): (message: CreateJob) => Promise<ResolvedWork> {
  /** Running lookups of models. Each reads dozens of files, so it serves everybody who asks meanwhile. */
  const lookups = new Map<string, Promise<Checkpoint | Upscaler>>();

  async function resolve(message: CreateJob): Promise<ResolvedWork> {
    const { registry } = parts;
    if (message.task_type === 'upscale') return resolveUpscale(message.params);
    const { model_type: modelType, upscale } = message.params;
    const work = await resolveGenerate(message);
    const [checkpoint, upscaler] = await Promise.all([
      shared(`checkpoint ${modelType}`, () => registry.checkpointFor(modelType)),
      upscale === false ? null : shared('upscaler', () => registry.upscaler()),
    ]);
    return { ...work, checkpoint, upscaler };
  }

  async function resolveGenerate(message: Exclude<CreateJob, { task_type: 'upscale' }>): Promise<JobWork> {
    const { inputs, imageFile, registry } = parts;
    const { loras = [], control } = message.params;
    const text = withoutDefaults(message.params, {
      loras: loras.length === 0 ? [] : resolveLoras(loras, await registry.loras()),
      control: control && (await resolveControl(control)),
    });
    if (message.task_type === 'text_to_image') return { taskType: message.task_type, params: text };
    const { strength, fit, image: reference } = message.params;
    const image = await resolveInput(inputs, reference, 'image', imageFile);
    const params = { ...text, image: image.id, strength, fit };
    if (message.task_type === 'image_to_image') return { taskType: message.task_type, params };
    const { mask, expand, feather, composite = true, only_masked, padding } = message.params;
    return {
      taskType: message.task_type,
      params: {
        ...params,
        ...(mask === undefined ? {} : { mask: (await resolveMask(inputs, mask, image, imageFile)).id }),
        ...(expand === undefined ? {} : { expand }),
        feather,
        ...(composite ? {} : { composite }),
        ...(only_masked === true ? onlyMasked(image, message.params, padding) : {}),
      },
    };
  }

  async function resolveControl({ image, model, ...control }: NonNullable<GenerateParams['control']>): Promise<NonNullable<TextToImageParams['control']>> {
    const { inputs, imageFile, registry } = parts;
    const { fingerprint } = installedNamed(await registry.controlNets(), model, { field: 'control.model', what: 'ControlNet' });
    return { image: (await resolveInput(inputs, image, 'control.image', imageFile)).id, model, identity: fingerprint, ...control };
  }

  async function resolveUpscale({ image, scale, upscaler: name }: UpscaleRequest): Promise<ResolvedWork> {
    const { inputs, imageFile } = parts;
    const upscaler = await upscalerNamed(name);
    const input = await resolveInput(inputs, image, 'image', imageFile);
    const params = { image: input.id, scale, upscaler: upscaler.name, width: input.width * scale, height: input.height * scale };
    return { taskType: 'upscale', params, checkpoint: null, upscaler };
  }

  async function upscalerNamed(name: string | undefined): Promise<Upscaler> {
    const { registry } = parts;
    if (name === undefined) return shared('upscaler', () => registry.upscaler());
    const usable = (await registry.upscalers()).filter((upscaler) => 'fingerprint' in upscaler);
    const found = usable.find((upscaler) => upscaler.name === name);
    if (found !== undefined) return found;
    const names = usable.map((upscaler) => JSON.stringify(upscaler.name)).join(' or ');
    throw new AppError('bad_param', `upscaler is ${quoteValue(name)}; it must be ${names}.`, { field: 'upscaler' });
  }

  function shared<T extends Checkpoint | Upscaler>(key: string, work: () => Promise<T>): Promise<T> {
    // one key is always looked up by the same function
    const running = lookups.get(key) as Promise<T> | undefined;
    if (running !== undefined) return running;
    const lookup = work().finally(() => lookups.delete(key));
    lookups.set(key, lookup);
    return lookup;
  }

  return resolve;
}

/** The params of every task that generates. What has its default is left out, so that ids stay as they were before there was a choice. */
function withoutDefaults(
  { prompt, width, height, steps, guidance_scale, seed, model_type, upscale = 4, negative_prompt = '' }: GenerateParams,
  { loras, control }: { loras: NonNullable<TextToImageParams['loras']>; control: TextToImageParams['control'] },
): TextToImageParams {
  return {
    ...{ prompt, width, height, steps, guidance_scale, seed, model_type },
    ...(upscale === 4 ? {} : { upscale }),
    ...(negative_prompt === '' ? {} : { negative_prompt }),
    ...(loras.length === 0 ? {} : { loras }),
    ...(control === undefined ? {} : { control }),
  };
}

/** Throws `bad_param` where the result would be too large. */
function onlyMasked(
  image: ImageSize,
  { width, height, expand }: InpaintRequest,
  padding = DEFAULT_PADDING_PX,
): Pick<InpaintParams, 'width' | 'height' | 'only_masked' | 'padding' | 'masked_size'> {
  const { left = 0, top = 0, right = 0, bottom = 0 } = expand ?? {};
  const size = { width: left + image.width + right, height: top + image.height + bottom };
  if (size.width * size.height <= MAX_INPUT_PIXELS) return { ...size, only_masked: true, padding, masked_size: { width, height } };
  const message = `expand makes an image of ${size.width} x ${size.height}; with only_masked it may have at most ${MAX_INPUT_PIXELS} pixels.`;
  throw new AppError('bad_param', message, { field: 'expand' });
}

/** The order of LoRAs changes nothing, so they are sorted. Throws `bad_param`. */
function resolveLoras(wanted: NonNullable<GenerateParams['loras']>, installed: readonly ExtraModel[]): NonNullable<TextToImageParams['loras']> {
  const names = wanted.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new AppError('bad_param', `loras names ${quoteValue(twice)} twice; name each LoRA once.`, { field: 'loras' });
  const found = wanted.map(({ name, weight }) => {
    const { fingerprint } = installedNamed(installed, name, { field: 'loras', what: 'LoRA' });
    return { name, weight, identity: fingerprint };
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Throws `bad_param`. */
function installedNamed(installed: readonly ExtraModel[], name: string, { field, what }: { field: string; what: string }): ExtraModel {
  const found = installed.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = installed.length === 0 ? `no ${what} is installed` : `it must be ${installed.map((one) => JSON.stringify(one.name)).join(' or ')}`;
  throw new AppError('bad_param', `${field} names ${quoteValue(name)}; ${known}.`, { field });
}
