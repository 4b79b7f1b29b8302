import { z } from 'zod';
import { filledParamsSchema } from './job.ts';

/** Keyword of the iTXt entry that holds a recipe as JSON. */
export const RECIPE_KEYWORD = 'zimage-recipe';
/** Keyword of the text that other tools read: prompt, then one line of settings. */
export const PARAMETERS_KEYWORD = 'parameters';

/** How an image was generated; stored in both of a job's files. Readers ignore unknown keys. */
export const recipeSchema = z.object({
  version: z.literal(1),
  /** `original`, or its 4x version. */
  role: z.enum(['original', 'upscaled']),
  job_id: z.string().regex(/^[0-9a-f]{64}$/),
  task_type: z.literal('text_to_image'),
  params: filledParamsSchema,
  checkpoint: z.object({ name: z.string(), identity: z.string() }),
  upscaler: z.object({ name: z.string(), identity: z.string() }),
  program: z.object({ name: z.string(), version: z.string() }),
  /** Unix seconds. */
  created_at: z.number(),
});
export type Recipe = z.infer<typeof recipeSchema>;
