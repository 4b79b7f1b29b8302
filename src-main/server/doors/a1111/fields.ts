import { z } from 'zod';
import { MAX_PROMPT_LENGTH } from '#shared/protocol/messages.ts';

const side = z.number().int().min(256).max(2048);
export const MAX_IMAGES = 16;

/** AUTOMATIC1111's text-to-image request. Clients send many more fields; those are accepted and ignored. */
export const txt2imgFields = {
  prompt: {
    schema: z.string().min(1).max(MAX_PROMPT_LENGTH),
    ours: 'prompt, loras',
    rule: 'Required. `<lora:NAME:WEIGHT>` is taken out and uses an installed LoRA; the rest is kept as sent.',
  },
  width: { schema: side, ours: 'width', rule: '512 if absent; a side that does not divide by 16 is made larger and cropped.' },
  height: { schema: side, ours: 'height', rule: 'As `width`.' },
  seed: {
    schema: z
      .number()
      .int()
      .min(-1)
      .max(Number.MAX_SAFE_INTEGER - MAX_IMAGES),
    ours: 'seed',
    rule: 'Random if absent or -1; `info` has it.',
  },
  batch_size: {
    schema: z.number().int().min(1).max(MAX_IMAGES),
    ours: 'jobs',
    rule: 'Times `n_iter`, the number of jobs, with consecutive seeds; 16 at most.',
  },
  n_iter: { schema: z.number().int().min(1).max(MAX_IMAGES), ours: 'jobs', rule: 'As `batch_size`.' },
  steps: {
    schema: z.number(),
    ours: 'steps',
    rule: "The model's own 9, since clients send values for other models; `info` repeats the asked value. See `override_settings`.",
  },
  cfg_scale: { schema: z.number(), ours: 'guidance_scale', rule: "The model's own 0, as for `steps`." },
  negative_prompt: {
    schema: z.string().max(MAX_PROMPT_LENGTH),
    ours: 'negative_prompt',
    rule: 'Used where `guidance_scale` is above 0, see `override_settings`; repeated in `info`.',
  },
  override_settings: {
    schema: z.looseObject({}),
    ours: 'steps, model',
    rule: '`zimage_steps: true` obeys `steps` and `cfg_scale`; `sd_model_checkpoint` names the model of this request.',
  },
  force_task_id: { schema: z.string().max(256), ours: 'id', rule: 'A name for `progress?id=` and `interrupt?id=`.' },
  lora: {
    schema: z.array(z.looseObject({ path: z.string().min(1), multiplier: z.number().nullish() })).max(4),
    ours: 'loras',
    rule: '`[{"path", "multiplier"}]`, as stable-diffusion.cpp has it; of `path` the file name counts.',
  },
  sampler_name: { schema: z.string(), ours: null, rule: 'Repeated in `info`.' },
  sampler_index: { schema: z.union([z.string(), z.number()]), ours: null, rule: 'Repeated in `info`.' },
} as const;

/** What an image-to-image request has besides. */
export const img2imgOnlyFields = {
  init_images: { schema: z.array(z.string()).length(1), ours: 'image', rule: 'Required; one image in base64, with or without a data URI.' },
  denoising_strength: { schema: z.number().gt(0).max(1), ours: 'strength', rule: '0.75 if absent.' },
  resize_mode: {
    schema: z.number().int().min(0).max(3),
    ours: 'fit',
    rule: '0 (if absent) and 3 distort the image to `width` x `height`, 1 cuts it at two edges, 2 adds bars.',
  },
  mask: {
    schema: z.string(),
    ours: 'mask',
    rule: 'Base64, of the size of the image. White is repainted; in a mask with transparency, what is opaque.',
  },
  inpainting_mask_invert: { schema: z.union([z.number(), z.boolean()]), ours: 'mask', rule: 'Above 0, black is repainted.' },
  mask_blur: { schema: z.number().int().min(0).max(256), ours: 'feather', rule: '4 if absent.' },
  inpainting_fill: {
    schema: z.number().int().min(0).max(3),
    ours: 'strength',
    rule: '1 (original) begins with what the mask covers. 0 (if absent), 2 and 3 begin with noise: `strength` is 1.',
  },
  inpaint_full_res: { schema: z.union([z.number(), z.boolean()]), ours: null, rule: 'The whole image is seen.' },
  include_init_images: { schema: z.boolean(), ours: null, rule: 'The answer never repeats the images.' },
} as const;

export const img2imgFields = { ...txt2imgFields, ...img2imgOnlyFields } as const;

/** What both calls of the extras take. */
export const extrasFields = {
  resize_mode: { schema: z.number().int().min(0).max(1), ours: 'scale', rule: '0 (if absent) scales by `upscaling_resize`, 1 to a size.' },
  upscaling_resize: {
    schema: z.number().min(1).max(4),
    ours: 'scale',
    rule: '2 if absent. The image is upscaled 2x or 4x, then made smaller where that is too much.',
  },
  upscaling_resize_w: { schema: z.number().int().min(1).max(16_384), ours: 'scale', rule: 'Width for `resize_mode` 1; 512 if absent.' },
  upscaling_resize_h: { schema: z.number().int().min(1).max(16_384), ours: 'scale', rule: 'Height, as the width.' },
  upscaler_1: { schema: z.string(), ours: 'upscaler', rule: 'The name of an installed upscaler; any other name means the active one.' },
} as const;

export const extraSingleFields = {
  image: { schema: z.string(), ours: 'image', rule: 'Required; base64, with or without a data URI.' },
  ...extrasFields,
} as const;

export const extraBatchFields = {
  imageList: {
    schema: z
      .array(z.looseObject({ data: z.string(), name: z.string().nullish() }))
      .min(1)
      .max(MAX_IMAGES),
    ours: 'jobs',
    rule: 'Required; images in base64, 16 at most.',
  },
  ...extrasFields,
} as const;

export const DEFAULT_SIDE_PX = 512;
