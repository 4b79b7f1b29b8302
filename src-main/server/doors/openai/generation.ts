import type { KeptImage } from '#main/images/uploads.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { type ModelType, modelTypeSchema, stepsOf } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CreateJob } from '#shared/protocol/messages.ts';
import type { FieldValues } from '../fields.ts';
import type { Delivery } from '../image-bytes.ts';
import { type InputParts, keepInput, paddedInput } from '../input-image.ts';
import { parseWork } from '../parse-work.ts';
import { AUTO_SIZE_PX, MAX_SIDE_PX, MIN_SIDE_PX, modelSize, ownSize, type Size } from '../size.ts';
import type { editFields } from './fields.ts';

/** Of any of the images calls; `image`, `images`, `mask` and `strength` are for those that start from an image. */
export type ImagesBody = FieldValues<typeof editFields>;

/** The images that a request brought. */
export interface Inputs {
  image: KeptImage;
  mask: KeptImage | null;
}

/** A request in our terms. */
export interface Generation {
  works: CreateJob[];
  seeds: number[];
  /** Of each image, as previews count them. */
  steps: number;
  until: 'generated' | 'completed';
  delivery: Delivery;
  asUrl: boolean;
  /** The name of the model that runs. */
  model: string;
  /** `WIDTHxHEIGHT` of the answer. */
  size: string;
}

const VARIATION_PROMPT = 'a detailed image of high quality';

/** Throws `missing_param`, `bad_param`, and as `keepInput`. */
export async function keepInputs({ image, images, mask }: ImagesBody, parts: InputParts): Promise<Inputs> {
  const sources = [...[image ?? []].flat(), ...(images ?? []).map(({ image_url }) => image_url)];
  const [source] = sources;
  if (source === undefined) throw new AppError('missing_param', 'image is missing; it must be an image file, or in JSON a data URI.', { field: 'image' });
  if (sources.length > 1) throw new AppError('bad_param', `image has ${sources.length} images; it must be one.`, { field: 'image' });
  const [maskSource] = [mask ?? []].flat();
  const kept = await keepInput(source, 'image', parts);
  if (maskSource === undefined) return { image: kept, mask: null };
  const isNamed = typeof maskSource === 'object' && 'image_url' in maskSource;
  return { image: kept, mask: await keepInput(isNamed ? maskSource.image_url : maskSource, 'mask', parts) };
}

/** @param seed Where the request has none. Throws `bad_param`, `model_not_installed`. */
export async function parseGeneration(
  body: ImagesBody,
  { seed, registry, inputs, parts }: { seed: number; registry: ModelRegistry; inputs: Inputs | null; parts: InputParts },
): Promise<Generation> {
  const asked = parseSize(body.size ?? 'auto', inputs);
  const { name, modelType } = await modelOf(body.model ?? '', registry);
  const first = body.seed === undefined || body.seed === null || body.seed < 0 ? seed : body.seed;
  const seeds = Array.from({ length: body.n ?? 1 }, (_, at) => first + at);
  const size = modelSize(asked);
  const isUpscaled = body.upscale === true;
  const common = {
    prompt: body.prompt ?? (inputs === null ? undefined : VARIATION_PROMPT),
    ...size,
    steps: body.steps ?? body.num_inference_steps ?? undefined,
    guidance_scale: body.guidance_scale ?? body.cfg_scale ?? undefined,
    negative_prompt: body.negative_prompt ?? undefined,
    loras: body.loras?.map((lora) => ({ ...lora, weight: lora.weight ?? undefined })),
    model_type: modelType,
    // only a caller that asks for the upscaled version gets one
    upscale: isUpscaled ? 4 : false,
  };
  const task = inputs === null ? null : await inputParams(inputs, { strength: body.strength ?? undefined, asked, size, parts });
  const works = seeds.map((one) => parseWork(task?.type ?? 'text_to_image', { ...common, ...task?.params, seed: one }));
  const scale = isUpscaled ? 4 : 1;
  const answered = { width: asked.width * scale, height: asked.height * scale };
  const isExact = size.width === asked.width && size.height === asked.height;
  return {
    works,
    seeds,
    steps: (works[0] && stepsOf(works[0])) ?? 1,
    until: isUpscaled ? 'completed' : 'generated',
    delivery: { format: body.output_format ?? 'png', quality: Math.max(1, body.output_compression ?? 100), crop: isExact ? null : answered },
    asUrl: body.response_format === 'url',
    model: name,
    size: `${answered.width}x${answered.height}`,
  };
}

async function inputParams(
  { image, mask }: Inputs,
  { strength, asked, size, parts }: { strength: number | undefined; asked: Size; size: Size; parts: InputParts },
) {
  const fits = (kept: KeptImage): boolean => kept.width === asked.width && kept.height === asked.height;
  const inSize = async (kept: KeptImage): Promise<string> => (fits(image) && fits(kept) ? await paddedInput(kept, size, parts) : kept).id;
  if (mask === null) return { type: 'image_to_image' as const, params: { image: await inSize(image), strength } };
  return { type: 'inpaint' as const, params: { image: await inSize(image), mask: await inSize(mask), strength } };
}

function parseSize(text: string, inputs: Inputs | null): Size {
  if (text === 'auto') return inputs === null ? { width: AUTO_SIZE_PX, height: AUTO_SIZE_PX } : ownSize(inputs.image);
  const [, width, height] = (/^(\d{1,5})x(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (width !== undefined && height !== undefined && Math.min(width, height) >= MIN_SIDE_PX && Math.max(width, height) <= MAX_SIDE_PX) return { width, height };
  const message = `size is ${quoteValue(text)}; it must be auto, or WIDTHxHEIGHT with sides from ${MIN_SIDE_PX} to ${MAX_SIDE_PX}, such as 1024x768.`;
  throw new AppError('bad_param', message, { field: 'size' });
}

/** Other programs send the names of OpenAI's models, so an unknown name is the default. */
async function modelOf(name: string, registry: ModelRegistry): Promise<{ name: string; modelType: ModelType }> {
  const type = modelTypeSchema.safeParse(name).data ?? (await registry.list()).find((checkpoint) => checkpoint.name === name)?.modelType ?? 'uint4';
  return { name: (await registry.checkpointFor(type)).name, modelType: type };
}
