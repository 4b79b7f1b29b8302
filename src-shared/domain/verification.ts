import { z } from 'zod';
import { recipeSchema } from './recipe.ts';

/** An image that was made again from its recipe, compared with the file. */
export const repeatResultSchema = z.discriminatedUnion('verdict', [
  z.object({ verdict: z.literal('identical') }),
  z.object({
    verdict: z.literal('differs'),
    /** The largest difference of a channel in 8-bit levels, and the PSNR of all; null where the sizes differ. */
    max_levels: z.number().int().nullable(),
    psnr_db: z.number().nullable(),
    /** What was not as at the first time, a sentence each; empty where nothing else is known. */
    because: z.array(z.string()),
  }),
  z.object({ verdict: z.literal('cannot'), because: z.array(z.string()) }),
]);
export type RepeatResult = z.infer<typeof repeatResultSchema>;

/** What is known about an image file. */
export const verificationSchema = z.object({
  format: z.string(),
  width: z.number().int(),
  height: z.number().int(),
  /**
   * `intact`: the pixels are those that were made. `changed`: they are not those of the recipe in the file. `not_recorded`: the recipe is from before hashes were
   * recorded. `no_recipe`: the file has no recipe, and its pixels are of no image of this installation.
   */
  pixels: z.enum(['intact', 'changed', 'not_recorded', 'no_recipe']),
  /** The image of this installation with these pixels. */
  made_here: z.object({ job_id: z.string(), filename: z.string() }).nullable(),
  /** Whether the file says in a machine-readable way that AI made it. */
  marked: z.boolean(),
  /** Why the image cannot be repeated here, a sentence each; empty where it can. */
  obstacles: z.array(z.string()),
  /** From the file, or from the image of this installation. */
  recipe: recipeSchema.nullable(),
  /** Null unless the image was to be repeated. */
  repeat: repeatResultSchema.nullable(),
});
export type Verification = z.infer<typeof verificationSchema>;
