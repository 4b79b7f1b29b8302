import { z } from 'zod';
import { filledImageToImageParamsSchema, filledInpaintParamsSchema, filledParamsSchema, filledUpscaleParamsSchema } from './job.ts';

/** Keyword of the iTXt entry that holds a recipe as JSON. */
export const RECIPE_KEYWORD = 'zimage-recipe';
/** Keyword of the text that other tools read: prompt, then one line of settings. */
export const PARAMETERS_KEYWORD = 'parameters';
/** The program in recipes and marks. */
export const PROGRAM_NAME = 'Z-Image-Turbo Studio';
/** Raised when a field of a recipe changes its meaning; new fields are nullable, so that older recipes stay readable. */
export const RECIPE_VERSION = 2;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const modelNameSchema = z.object({ name: z.string(), identity: z.string() });

const anyRecipeSchema = z.object({
  version: z.union([z.literal(1), z.literal(RECIPE_VERSION)]),
  job_id: sha256Schema,
  program: z.object({ name: z.string(), version: z.string() }),
  /** Unix seconds. */
  created_at: z.number(),
  /** What computed the pixels; null before version 2. */
  made_on: z
    .object({
      /** `cpu`, `cuda:0` … and its execution provider. */
      device: z.string(),
      provider: z.string(),
      /** Model name of the processor. */
      processor: z.string(),
      accuracy: z.enum(['exact', 'fast']),
      /** Version of the compiler that wrote the graphs. */
      compiler: z.number().int(),
      onnxruntime: z.string(),
    })
    .nullable()
    .default(null),
  /** Of this file, with the SHA-256 of its pixels: RGB, 8 bits a channel, row by row, then alpha where anything is transparent. Null before version 2. */
  pixels: z.object({ width: z.number().int(), height: z.number().int(), sha256: sha256Schema }).nullable().default(null),
  /** Of an upscaled image: the SHA-256 of the pixels that it was upscaled from. */
  original_sha256: sha256Schema.nullable().default(null),
});

const generatedRecipeSchema = anyRecipeSchema.extend({
  /** `original`, or its upscaled version. */
  role: z.enum(['original', 'upscaled']),
  checkpoint: modelNameSchema,
  /** Absent if the job made no upscaled version. */
  upscaler: modelNameSchema.exactOptional(),
});

const textToImageSchema = generatedRecipeSchema.extend({ task_type: z.literal('text_to_image'), params: filledParamsSchema });
const imageToImageSchema = generatedRecipeSchema.extend({ task_type: z.literal('image_to_image'), params: filledImageToImageParamsSchema });
const inpaintSchema = generatedRecipeSchema.extend({ task_type: z.literal('inpaint'), params: filledInpaintParamsSchema });
const upscaleSchema = anyRecipeSchema.extend({
  task_type: z.literal('upscale'),
  role: z.literal('upscaled'),
  params: filledUpscaleParamsSchema,
  upscaler: modelNameSchema,
});

/** How an image was made; written into each file of a job as canonical JSON. Readers take what they know and ignore further keys. */
export const recipeSchema = z.discriminatedUnion('task_type', [textToImageSchema, imageToImageSchema, inpaintSchema, upscaleSchema]);
export type Recipe = z.infer<typeof recipeSchema>;

const knownLater = { version: true, made_on: true, pixels: true, original_sha256: true } as const;

/** What is known before the image is made. */
export const recipeFactsSchema = z.discriminatedUnion('task_type', [
  textToImageSchema.omit(knownLater),
  imageToImageSchema.omit(knownLater),
  inpaintSchema.omit(knownLater),
  upscaleSchema.omit(knownLater),
]);
export type RecipeFacts = z.infer<typeof recipeFactsSchema>;

/** Null for anything that is not a recipe of ours, or one of a later version. */
export function parseRecipe(json: string): Recipe | null {
  try {
    return recipeSchema.safeParse(JSON.parse(json)).data ?? null;
  } catch {
    return null; // not JSON
  }
}
