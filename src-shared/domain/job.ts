import { z } from 'zod';
import { type WireError, wireErrorSchema } from '../protocol/errors.ts';

export const modelTypeSchema = z.enum(['uint4', 'int8', 'klein']);
export type ModelType = z.infer<typeof modelTypeSchema>;

/** How much larger the second image is; false makes only one. */
export const upscaleChoiceSchema = z.union([z.literal(4), z.literal(2), z.literal(false)]);

/** SHA-256 of the bytes of an image that was uploaded or made here. */
export const imageHashSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** `none` takes a control image as the map that the ControlNet was trained on; `canny` finds its edges. */
export const preprocessSchema = z.enum(['none', 'canny']);

/** What a text-to-image job is made from, defaults filled in; ranges are checked once, at the front door (`docs/protocol.md`). */
export const filledParamsSchema = z.object({
  prompt: z.string(),
  width: z.number().int(),
  height: z.number().int(),
  /** In the original's count: N steps are max(1, N - 1) forwards of the transformer. */
  steps: z.number().int(),
  guidance_scale: z.number(),
  seed: z.number().int(),
  model_type: modelTypeSchema,
  /** Absent for 4, so that ids, rows and recipes of such jobs stay as they were before there was a choice. */
  upscale: z.union([z.literal(2), z.literal(false)]).exactOptional(),
  /** Used where guidance is on; absent where it is empty. */
  negative_prompt: z.string().exactOptional(),
  /** Absent without any. `identity` is the hash of the file. */
  loras: z.array(z.object({ name: z.string(), weight: z.number(), identity: z.string() })).exactOptional(),
  /** An image that guides the composition through a ControlNet. Absent without one; `identity` is the hash of the ControlNet's file. */
  control: z
    .object({
      image: imageHashSchema,
      model: z.string(),
      identity: z.string(),
      scale: z.number(),
      start: z.number(),
      end: z.number(),
      preprocess: preprocessSchema,
    })
    .exactOptional(),
});
export type TextToImageParams = z.infer<typeof filledParamsSchema>;

/** How an image takes another shape: cut at two edges, with bars in its edges' mean colour, or distorted. */
export const fitSchema = z.enum(['cover', 'contain', 'stretch']);

/** What a job that starts from an image is made from. */
export const filledImageToImageParamsSchema = filledParamsSchema.extend({
  image: imageHashSchema,
  /** Share of the denoising steps that run, above 0 and up to 1. */
  strength: z.number(),
  fit: fitSchema,
});
export type ImageToImageParams = z.infer<typeof filledImageToImageParamsSchema>;

const imageSizeSchema = z.object({ width: z.number().int(), height: z.number().int() });
export type ImageSize = z.infer<typeof imageSizeSchema>;

/** Pixels that the image grows by on each side. */
export const expandSchema = z.object({ left: z.number().int(), top: z.number().int(), right: z.number().int(), bottom: z.number().int() });
export type Expand = z.infer<typeof expandSchema>;

/** What a job that repaints parts of an image is made from. Without a mask only what `expand` adds is painted. */
export const filledInpaintParamsSchema = filledImageToImageParamsSchema.extend({
  mask: imageHashSchema.exactOptional(),
  expand: expandSchema.exactOptional(),
  /** Width of the transition, in pixels. */
  feather: z.number().int(),
  /** Absent where kept pixels are copied from the image bit by bit. */
  composite: z.literal(false).exactOptional(),
  /**
   * Makes only what is around the mask, in `masked_size`, and puts it back into the image; `padding` pixels around the mask are seen too.
   * All three are absent otherwise. `width` and `height` are always those of the image.
   */
  only_masked: z.literal(true).exactOptional(),
  padding: z.number().int().exactOptional(),
  masked_size: imageSizeSchema.exactOptional(),
});
export type InpaintParams = z.infer<typeof filledInpaintParamsSchema>;

/** What an upscale job is made from: everything is known once it is accepted. */
export const filledUpscaleParamsSchema = z.object({
  image: imageHashSchema,
  scale: z.union([z.literal(2), z.literal(4)]),
  upscaler: z.string(),
  /** Of the result, in pixels. */
  width: z.number().int(),
  height: z.number().int(),
});
export type UpscaleParams = z.infer<typeof filledUpscaleParamsSchema>;

export const taskTypeSchema = z.enum(['text_to_image', 'image_to_image', 'inpaint', 'upscale']);

/** What a job does, and from what. */
export type JobWork =
  | { taskType: 'text_to_image'; params: TextToImageParams }
  | { taskType: 'image_to_image'; params: ImageToImageParams }
  | { taskType: 'inpaint'; params: InpaintParams }
  | { taskType: 'upscale'; params: UpscaleParams };
export type TaskType = z.infer<typeof taskTypeSchema>;

/** What the model makes at once: the first image, or its part around the mask. */
export function madeSizeOf({ width, height, masked_size }: ImageSize & { masked_size?: ImageSize }): ImageSize {
  return masked_size ?? { width, height };
}

/** The size of a job's second image against its first, or null for a job that makes only one. */
export function secondScaleOf(work: JobWork): 2 | 4 | null {
  if (work.taskType === 'upscale') return null;
  const { upscale = 4 } = work.params;
  return upscale === false ? null : upscale;
}

/** The denoising steps that a job shows in its progress, or null for one that only upscales. */
export function stepsOf({ params }: { params: { steps: number; strength?: number } | { scale: number } }): number | null {
  if (!('steps' in params)) return null;
  const { steps, strength } = params;
  return strength === undefined ? steps : steps - firstForward(forwardsOf(steps), strength);
}

/** How often a job of `steps` steps runs the model. */
export function forwardsOf(steps: number): number {
  return Math.max(1, steps - 1);
}

/**
 * The first forward of an image that starts from another and may change it by `strength`, 0 to 1: only that last share of the schedule runs.
 * It is `forwards` if none is left.
 * Source: https://github.com/huggingface/diffusers, `pipelines/z_image/pipeline_z_image_img2img.py`, `get_timesteps`.
 */
export function firstForward(forwards: number, strength: number): number {
  return Math.trunc(Math.max(forwards - Math.min(forwards * strength, forwards), 0));
}

/** One sentence for each fallback to another device or accuracy. */
const setbacksSchema = z.array(z.string()).exactOptional();

/** Names inside the outputs folder; `filename` is the first image, and there is no second one where none was wanted. */
const storedResultSchema = z.object({ filename: z.string(), upscaledFilename: z.string().exactOptional(), setbacks: setbacksSchema });
export type JobResult = z.infer<typeof storedResultSchema>;

/** A job's state, with the fields that only this state has. */
export const jobStateSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('pending') }),
  z.object({ status: z.literal('processing') }),
  z.object({ status: z.literal('generated'), filename: z.string(), setbacks: setbacksSchema }),
  z.object({ status: z.literal('completed'), result: storedResultSchema }),
  z.object({ status: z.literal('failed'), error: wireErrorSchema, filename: z.string().exactOptional() }),
  z.object({ status: z.literal('cancelled') }),
]);
export type JobState = z.infer<typeof jobStateSchema>;

export type JobStatusName = JobState['status'];

export type JobEvent =
  | { type: 'started' }
  | { type: 'generated'; filename: string; setbacks?: string[] }
  | { type: 'completed'; result: JobResult }
  | { type: 'failed'; error: WireError }
  | { type: 'cancelled' }
  /** A new request for a job that failed, was cancelled, or whose files are missing. */
  | { type: 'requested_again' };

/** The state after `event`, or null where the contract does not allow that step (the caller then changes nothing). */
export function transition(state: JobState, event: JobEvent): JobState | null {
  switch (event.type) {
    case 'started':
      return state.status === 'pending' ? { status: 'processing' } : null;
    case 'generated':
      return state.status === 'processing' ? { status: 'generated', filename: event.filename, ...withSetbacks(event.setbacks) } : null;
    case 'completed':
      if (state.status !== 'generated') return null;
      return { status: 'completed', result: { ...event.result, ...withSetbacks([...(state.setbacks ?? []), ...(event.result.setbacks ?? [])]) } };
    case 'failed':
      if (state.status === 'generated') return { status: 'failed', error: event.error, filename: state.filename };
      return state.status === 'pending' || state.status === 'processing' ? { status: 'failed', error: event.error } : null;
    case 'cancelled':
      return state.status === 'pending' || state.status === 'processing' ? { status: 'cancelled' } : null;
    case 'requested_again':
      return isEnd(state) ? { status: 'pending' } : null;
  }
}

/** Each once. */
function withSetbacks(setbacks: string[] = []): { setbacks?: string[] } {
  return setbacks.length === 0 ? {} : { setbacks: [...new Set(setbacks)] };
}

/** True for completed, failed and cancelled. */
export function isEnd(state: JobState): boolean {
  return state.status === 'completed' || state.status === 'failed' || state.status === 'cancelled';
}
