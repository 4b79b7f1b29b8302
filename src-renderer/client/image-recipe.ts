import { z } from 'zod';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import type { Upload } from '#shared/protocol/http.ts';

/**
 * What an image tells of how it was made: our own recipe, else what AUTOMATIC1111-like tools or ComfyUI wrote, as far as it means the same here.
 * Null where nothing can be read.
 */
export function recipeOf({ recipe, texts }: Pick<Upload, 'recipe' | 'texts'>): Partial<TextToImageParams> | null {
  return recipe?.params ?? readParameters(textOf(texts, PARAMETERS_KEYWORD)) ?? readComfy(textOf(texts, 'prompt'));
}

function textOf(texts: Upload['texts'], keyword: string): string | null {
  return texts.find((entry) => entry.keyword === keyword)?.text ?? null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Prompt, then perhaps `Negative prompt: …`, then one line `Steps: 20, Sampler: …, Seed: 1, Size: 512x768`. */
function readParameters(text: string | null): Partial<TextToImageParams> | null {
  if (text === null) return null;
  const settingsAt = text.lastIndexOf('Steps: ');
  const settings = settingsAt === -1 ? '' : text.slice(settingsAt);
  const prompt = (settingsAt === -1 ? text : text.slice(0, settingsAt)).split(/^Negative prompt: /m)[0]?.trim() ?? '';
  if (prompt === '') return null;
  const number = (key: string) => numberOrNothing(new RegExp(`\\b${key}: (\\d+)`).exec(settings)?.[1]);
  const size = /\bSize: (\d+)x(\d+)/.exec(settings);
  return present({ prompt, steps: number('Steps'), seed: number('Seed'), width: numberOrNothing(size?.[1]), height: numberOrNothing(size?.[2]) });
}

const comfyGraphSchema = z.record(z.string(), z.object({ class_type: z.string(), inputs: z.record(z.string(), z.unknown()) }));
const linkSchema = z.tuple([z.string(), z.number()]);

/** ComfyUI's API graph: the first sampler, the text that it takes as positive and the size of its empty latents. */
function readComfy(text: string | null): Partial<TextToImageParams> | null {
  const parsed = comfyGraphSchema.safeParse(text === null ? null : parseJson(text));
  if (!parsed.success) return null;
  const graph = parsed.data;
  const sampler = Object.values(graph).find((node) => node.class_type.startsWith('KSampler'));
  if (sampler === undefined) return null;
  const behind = (input: unknown) => {
    const link = linkSchema.safeParse(input);
    return link.success ? (graph[link.data[0]]?.inputs ?? {}) : {};
  };
  const prompt = behind(sampler.inputs['positive'])['text'];
  if (typeof prompt !== 'string' || prompt.trim() === '') return null;
  const latents = behind(sampler.inputs['latent_image']);
  return present({
    prompt,
    steps: numberOrNothing(sampler.inputs['steps']),
    seed: numberOrNothing(sampler.inputs['seed'] ?? sampler.inputs['noise_seed']),
    width: numberOrNothing(latents['width']),
    height: numberOrNothing(latents['height']),
  });
}

function numberOrNothing(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined;
}

type Found = { [K in keyof TextToImageParams]?: TextToImageParams[K] | undefined };

function present({ prompt, steps, seed, width, height }: Found): Partial<TextToImageParams> {
  return {
    ...(prompt === undefined ? {} : { prompt }),
    ...(steps === undefined ? {} : { steps }),
    ...(seed === undefined ? {} : { seed }),
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
  };
}
