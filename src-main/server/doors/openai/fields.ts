import { z } from 'zod';
import { MAX_PROMPT_LENGTH } from '#shared/protocol/messages.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

/** OpenAI's image request, the extensions that local servers share, and ours. */
export const generationFields = {
  prompt: { schema: z.string().min(1).max(MAX_PROMPT_LENGTH), ours: 'prompt', rule: 'Required; kept as sent.' },
  model: {
    schema: z.string().max(256),
    ours: 'model_type',
    rule: 'The name of an installed model, `uint4` or `int8`; any other name means the default. The answer has the real name.',
  },
  n: { schema: whole(1, 10), ours: 'jobs', rule: 'The number of jobs, with consecutive seeds.' },
  size: {
    schema: z.string().max(20),
    ours: 'width, height',
    rule: '`auto` is 1024x1024. Sides from 256 to 2048; a side that does not divide by 16 is made larger and cropped.',
  },
  seed: { schema: whole(-1, Number.MAX_SAFE_INTEGER - 10), ours: 'seed', rule: 'Random if absent or -1; the answer has it.' },
  steps: { schema: whole(1, 50), ours: 'steps', rule: '9 if absent.' },
  num_inference_steps: { schema: whole(1, 50), ours: 'steps', rule: 'Another name of `steps`.' },
  guidance_scale: { schema: z.number().min(0).max(20), ours: 'guidance_scale', rule: '0 if absent.' },
  cfg_scale: { schema: z.number().min(0).max(20), ours: 'guidance_scale', rule: 'Another name of `guidance_scale`.' },
  negative_prompt: { schema: z.string().max(MAX_PROMPT_LENGTH), ours: 'negative_prompt', rule: 'Used where `guidance_scale` is above 0.' },
  loras: {
    schema: z.array(z.looseObject({ name: z.string(), weight: z.number().nullish() })).max(4),
    ours: 'loras',
    rule: '`[{"name", "weight"}]`: installed LoRAs by name. An extension of this server.',
  },
  upscale: { schema: z.boolean(), ours: 'upscale', rule: 'True answers the 4x version. An extension of this server.' },
  response_format: {
    schema: z.enum(['b64_json', 'url']),
    ours: 'answer',
    rule: '`b64_json` if absent. A `url` opens without a key for an hour; it is the PNG as the model made it, not cropped.',
  },
  output_format: { schema: z.enum(['png', 'jpeg', 'webp']), ours: 'answer', rule: 'png if absent. A `url` is always a PNG.' },
  output_compression: { schema: whole(0, 100), ours: 'answer', rule: 'Quality of JPEG and WebP; 100 if absent.' },
  background: { schema: z.enum(['auto', 'opaque']), ours: 'answer', rule: 'The images are opaque; `transparent` is refused.' },
  stream: { schema: z.boolean(), ours: 'answer', rule: 'Server-sent events.' },
  partial_images: {
    schema: whole(0, 3),
    ours: 'previews',
    rule: 'The number of previews of each image during its generation, smaller than the image. With `stream` only.',
  },
  quality: { schema: z.string(), ours: null, rule: 'Repeated in the answer.' },
  style: { schema: z.string(), ours: null, rule: '' },
  user: { schema: z.string(), ours: null, rule: '' },
  moderation: { schema: z.string(), ours: null, rule: '' },
} as const;

/** A part of a form; in JSON a data URI, or the name of an image made here. */
const image = z.union([z.instanceof(Buffer), z.string()]);
const addressed = z.looseObject({ image_url: z.string() });

const variationOnly = {
  image: {
    schema: z.union([image, z.array(image).min(1)]),
    ours: 'image',
    rule: 'Required; one image, as `image` or `image[]`. In JSON a data URI, the file name or address of an image made here, or the id of an upload.',
  },
  images: { schema: z.array(addressed).min(1), ours: 'image', rule: 'As `image`, for JSON: `[{"image_url"}]`.' },
  strength: { schema: z.number().gt(0).max(1), ours: 'strength', rule: 'How much may change; 0.6 if absent, 1 with a mask. An extension of this server.' },
  size: {
    schema: z.string().max(20),
    ours: 'width, height',
    rule: "`auto` is the image's own size, made smaller to a megapixel. Another shape is cut at two edges.",
  },
} as const;

/** What edits take besides. */
export const editOnlyFields = {
  ...variationOnly,
  mask: {
    schema: z.union([image, z.array(image).min(1), addressed]),
    ours: 'mask',
    rule: 'Of the size of the image. What is transparent is repainted; in a mask without transparency, what is white. Without a mask all of the image may change.',
  },
  input_fidelity: { schema: z.string(), ours: null, rule: 'See `strength`.' },
} as const;

export const editFields = { ...generationFields, ...editOnlyFields } as const;

export const variationFields = {
  ...generationFields,
  ...variationOnly,
  prompt: { ...generationFields.prompt, rule: 'An extension of this server; a general one if absent.' },
} as const;
