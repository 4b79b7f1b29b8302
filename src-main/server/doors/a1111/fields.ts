import { z } from 'zod';
import { MAX_PROMPT_LENGTH } from '#shared/protocol/messages.ts';

const side = z.number().int().min(256).max(2048);
const MAX_IMAGES = 16;

/** AUTOMATIC1111's text-to-image request. Clients send many more fields; those are accepted and ignored. */
export const txt2imgFields = {
  prompt: { schema: z.string().min(1).max(MAX_PROMPT_LENGTH), ours: 'prompt', rule: 'Required; kept as sent.' },
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
  override_settings: {
    schema: z.looseObject({}),
    ours: 'steps, model',
    rule: '`zimage_steps: true` obeys `steps` and `cfg_scale`; `sd_model_checkpoint` names the model of this request.',
  },
  force_task_id: { schema: z.string().max(256), ours: 'id', rule: 'A name for `progress?id=` and `interrupt?id=`.' },
  sampler_name: { schema: z.string(), ours: null, rule: 'Repeated in `info`.' },
  sampler_index: { schema: z.union([z.string(), z.number()]), ours: null, rule: 'Repeated in `info`.' },
  negative_prompt: { schema: z.string(), ours: null, rule: 'The model runs without guidance; repeated in `info`.' },
} as const;

export const DEFAULT_SIDE_PX = 512;
export { MAX_IMAGES };
