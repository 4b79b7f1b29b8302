import { quoteValue } from '#main/lib/quote-value.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { type ModelType, modelTypeSchema } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type TextToImageRequest, textToImageParamsSchema } from '#shared/protocol/messages.ts';
import { paramError } from '../../param-error.ts';
import type { FieldValues } from '../fields.ts';
import type { Delivery } from '../image-bytes.ts';
import { modelSize } from '../size.ts';
import { AUTO_SIZE_PX, type generationFields } from './fields.ts';

export type GenerationBody = FieldValues<typeof generationFields>;

/** A request in our terms. */
export interface Generation {
  params: TextToImageRequest[];
  until: 'generated' | 'completed';
  delivery: Delivery;
  asUrl: boolean;
  /** The name of the model that runs. */
  model: string;
  /** `WIDTHxHEIGHT` of the answer. */
  size: string;
}

/** @param seed Where the request has none. Throws `bad_param`, `model_not_installed`. */
export async function parseGeneration(body: GenerationBody, seed: number, registry: ModelRegistry): Promise<Generation> {
  const asked = parseSize(body.size ?? 'auto');
  const { name, modelType } = await modelOf(body.model ?? '', registry);
  const first = body.seed === undefined || body.seed === null || body.seed < 0 ? seed : body.seed;
  const size = modelSize(asked);
  const params = Array.from({ length: body.n ?? 1 }, (_, at) => {
    const raw = {
      prompt: body.prompt,
      ...size,
      steps: body.steps ?? body.num_inference_steps ?? undefined,
      guidance_scale: body.guidance_scale ?? body.cfg_scale ?? undefined,
      seed: first + at,
      model_type: modelType,
    };
    const parsed = textToImageParamsSchema.safeParse(raw);
    if (!parsed.success) throw paramError(textToImageParamsSchema, raw, parsed.error);
    return parsed.data;
  });
  const isUpscaled = body.upscale === true;
  const scale = isUpscaled ? 4 : 1;
  const answered = { width: asked.width * scale, height: asked.height * scale };
  const isExact = size.width === asked.width && size.height === asked.height;
  return {
    params,
    until: isUpscaled ? 'completed' : 'generated',
    delivery: { format: body.output_format ?? 'png', quality: Math.max(1, body.output_compression ?? 100), crop: isExact ? null : answered },
    asUrl: body.response_format === 'url',
    model: name,
    size: `${answered.width}x${answered.height}`,
  };
}

function parseSize(text: string): { width: number; height: number } {
  if (text === 'auto') return { width: AUTO_SIZE_PX, height: AUTO_SIZE_PX };
  const [, width, height] = (/^(\d{1,5})x(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (width !== undefined && height !== undefined && Math.min(width, height) >= 256 && Math.max(width, height) <= 2048) return { width, height };
  throw new AppError('bad_param', `size is ${quoteValue(text)}; it must be auto, or WIDTHxHEIGHT with sides from 256 to 2048, such as 1024x768.`, {
    field: 'size',
  });
}

/** Other programs send the names of OpenAI's models, so an unknown name is the default. */
async function modelOf(name: string, registry: ModelRegistry): Promise<{ name: string; modelType: ModelType }> {
  const type = modelTypeSchema.safeParse(name).data ?? (await registry.list()).find((checkpoint) => checkpoint.name === name)?.modelType ?? 'uint4';
  return { name: (await registry.checkpointFor(type)).name, modelType: type };
}
