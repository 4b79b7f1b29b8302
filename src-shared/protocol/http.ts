import { z } from 'zod';
import { modelTypeSchema } from '../domain/job.ts';
import { queueSummarySchema } from '../domain/job-record.ts';
import { recipeSchema } from '../domain/recipe.ts';
import { MAX_PICTURE_PIXELS, SIZE_UNIT_PX } from './messages.ts';

/** The HTTP contract beside the WebSocket one: what the server answers, as schemas. Source: `docs/protocol.md`. */

export const healthSchema = z.object({ status: z.literal('ok') });

/** Body of every HTTP error. Data of the code (`retryAfterMs`, `limit` …) stand beside these. */
export const httpErrorSchema = z.looseObject({
  code: z.string(),
  message: z.string(),
  field: z.string().optional(),
});
export type HttpError = z.infer<typeof httpErrorSchema>;

export const modelSchema = z.object({
  name: z.string(),
  model_type: modelTypeSchema,
  /** True for those that come with the program. */
  bundled: z.boolean(),
  /** SHA-256 over its files. */
  identity: z.string(),
  size_bytes: z.number().int(),
  license: z.string(),
  /** Sides are made at multiples of this and cropped to what was asked for. */
  size_unit_px: z.number().int(),
  /** True for the one that runs when a job asks for its `model_type`. */
  active: z.boolean(),
});
export const modelsSchema = z.object({ models: z.array(modelSchema) });
export type Model = z.infer<typeof modelSchema>;

export const infoSchema = z.object({
  version: z.string(),
  models: z.array(modelSchema),
  upscaler: z.object({ name: z.string(), license: z.string() }).nullable(),
  engine: z.object({
    state: z.enum(['stopped', 'starting', 'ready', 'unavailable']),
    /** Execution provider, `cpu` … */
    device: z.string(),
    device_reason: z.string(),
    accuracy: z.enum(['exact', 'fast']),
    resident_bytes: z.number(),
    restarts: z.number().int(),
  }),
  queue: queueSummarySchema,
  limits: z.object({
    size_unit_px: z.literal(SIZE_UNIT_PX),
    max_pixels: z.literal(MAX_PICTURE_PIXELS),
    max_frame_bytes: z.number().int(),
    max_upload_bytes: z.number().int(),
    thumbnail_widths: z.array(z.number().int()),
  }),
  memory: z.object({ total_bytes: z.number(), free_bytes: z.number(), server_bytes: z.number() }),
  access: z.object({
    /** Whether this very request came from the machine that the server runs on. */
    from_this_machine: z.boolean(),
    /** Whether other machines need no key. */
    open: z.boolean(),
  }),
});
export type Info = z.infer<typeof infoSchema>;

/** Widths to which `GET /api/image/{filename}?w=` makes a picture smaller; a narrower picture stays as it is. */
export const THUMBNAIL_WIDTHS = [64, 128, 256, 384, 512, 768, 1024] as const;

export const imageQuerySchema = z.strictObject({
  w: z.union(THUMBNAIL_WIDTHS.map((width) => z.literal(width))).optional(),
});

export const jobPatchSchema = z.strictObject({ starred: z.boolean() });

export const binSchema = z.object({
  /** How many jobs were deleted for good. */
  removed: z.number().int(),
});

/** What an uploaded picture tells of itself: its texts as they stand in a PNG, and our own recipe where it holds one. */
export const uploadSchema = z.object({
  /** `png`, `jpeg`, `webp` … */
  format: z.string(),
  width: z.number().int(),
  height: z.number().int(),
  texts: z.array(z.object({ keyword: z.string(), text: z.string() })),
  recipe: recipeSchema.nullable(),
});
export type Upload = z.infer<typeof uploadSchema>;
