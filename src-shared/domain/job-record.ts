import { z } from 'zod';
import { jobResultSchema, jobStatusNameSchema } from '../protocol/messages.ts';
import { filledImageToImageParamsSchema, filledInpaintParamsSchema, filledParamsSchema, filledUpscaleParamsSchema, modelTypeSchema } from './job.ts';

const anyRecordSchema = z.object({
  job_id: z.string(),
  status: jobStatusNameSchema,
  result: jobResultSchema.nullable(),
  error: z.string().nullable(),
  code: z.string().nullable(),
  /** Unix seconds. */
  created_at: z.number(),
  finished_at: z.number().nullable(),
  /** Client ids that ever asked for it. */
  clients: z.array(z.string()),
  starred: z.boolean(),
  /** True while it is in the bin: its images are served only as previews, and `restore` brings them back. */
  deleted: z.boolean(),
  /** When it was moved to the bin, in Unix seconds. */
  deleted_at: z.number().nullable(),
  /** Of a waiting job: 1 is next. */
  position: z.number().int().nullable(),
});

const generatedRecordSchema = anyRecordSchema.extend({
  /** Name of the checkpoint that ran or would run. */
  checkpoint: z.string(),
  /** Null for a job without an upscaled version. */
  upscaler: z.string().nullable(),
});

/** One job as the gallery, the history and `GET /api/jobs` show it. */
export const jobRecordSchema = z.discriminatedUnion('task_type', [
  generatedRecordSchema.extend({ task_type: z.literal('text_to_image'), params: filledParamsSchema }),
  generatedRecordSchema.extend({ task_type: z.literal('image_to_image'), params: filledImageToImageParamsSchema }),
  generatedRecordSchema.extend({ task_type: z.literal('inpaint'), params: filledInpaintParamsSchema }),
  anyRecordSchema.extend({ task_type: z.literal('upscale'), params: filledUpscaleParamsSchema, checkpoint: z.null(), upscaler: z.string() }),
]);
export type JobRecord = z.infer<typeof jobRecordSchema>;

/** Name of an album or a tag. Letter case of ASCII letters does not matter. */
const labelNameSchema = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(/^[^"\r\n\t]+$/, 'must be one line without double quotes');

/** An album or a tag: a name under which jobs are kept together. It exists while a job has it. */
export const labelSchema = z.strictObject({ kind: z.enum(['album', 'tag']), name: labelNameSchema });
export type Label = z.infer<typeof labelSchema>;

/** Which records to list; every filter narrows. */
export const jobQuerySchema = z.strictObject({
  /** Words to be found in the prompt, letter case ignored. */
  query: z.string().max(400).optional(),
  /** Texts to be found in the prompt as they stand, one a line; letter case ignored. */
  phrases: z.string().max(400).optional(),
  /** Texts that must not be in the prompt, one a line. */
  without: z.string().max(400).optional(),
  album: labelNameSchema.optional(),
  tag: labelNameSchema.optional(),
  seed: z.number().int().nonnegative().optional(),
  status: jobStatusNameSchema.optional(),
  model: modelTypeSchema.optional(),
  starred: z.boolean().optional(),
  /** One that asked for it. */
  client: z.string().max(128).optional(),
  /** Created at or after this moment, and before that one; Unix seconds. */
  from: z.number().optional(),
  to: z.number().optional(),
  /** Exact size of the original image in pixels. */
  width: z.number().int().positive().optional(),
  height: z.number().int().positive().optional(),
  /** Smallest number of pixels. */
  min_pixels: z.number().int().positive().optional(),
  /** At most this many pixels. */
  max_pixels: z.number().int().positive().optional(),
  /** True lists the bin instead. */
  deleted: z.boolean().optional(),
  /** Newest first without it. */
  order: z.enum(['newest', 'oldest']).optional(),
  /** `next` of the page before, in the same order. */
  before: z.number().int().positive().optional(),
  limit: z.number().int().min(1).max(500).default(50),
});
export type JobQuery = z.infer<typeof jobQuerySchema>;

/** In the order of the query. `next` goes into `before` for the following page; null on the last one. */
export const jobPageSchema = z.object({ jobs: z.array(jobRecordSchema), next: z.number().int().nullable() });
export type JobPage = z.infer<typeof jobPageSchema>;

/** Jobs by their ids, or all jobs that match a query. */
const jobChoiceSchema = z
  .strictObject({
    ids: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a job id'))
      .min(1)
      .max(10_000)
      .optional(),
    query: jobQuerySchema.omit({ before: true, limit: true, order: true }).optional(),
  })
  .refine(({ ids, query }) => (ids === undefined) !== (query === undefined), { path: ['ids'], message: 'must stand alone: ids or a query' });

/** Body of `POST /api/jobs/bulk`. `delete` moves ended jobs to the bin, `delete_permanently` deletes jobs in the bin. */
export const bulkSchema = jobChoiceSchema
  .safeExtend({
    action: z.enum(['delete', 'restore', 'delete_permanently', 'star', 'unstar', 'add_label', 'remove_label']),
    /** The album or tag of `add_label` and `remove_label`. */
    label: labelSchema.optional(),
  })
  .refine(({ action, label }) => (label !== undefined) === action.endsWith('_label'), {
    path: ['label'],
    message: 'must be given with add_label and remove_label, and only with these',
  });
export type Bulk = z.infer<typeof bulkSchema>;

/** Every chosen job is in one of the lists. */
export const bulkAnswerSchema = z.object({
  done: z.array(z.string()),
  failed: z.array(z.object({ job_id: z.string(), code: z.string(), message: z.string() })),
});
export type BulkAnswer = z.infer<typeof bulkAnswerSchema>;

/** Body of `POST /api/jobs/zip`. */
export const zipSchema = jobChoiceSchema.safeExtend({
  /** `best` is the upscaled image of each job, or its original without one. */
  files: z.enum(['best', 'original', 'all']).default('best'),
});
export type Zip = z.input<typeof zipSchema>;

/** Body of `POST /api/queue`. `move` puts a waiting job before another waiting one, or last with null. */
export const queueActionSchema = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('pause') }),
  z.strictObject({ action: z.literal('resume') }),
  z.strictObject({ action: z.literal('clear') }),
  z.strictObject({ action: z.literal('move'), job_id: z.string(), before: z.string().nullable() }),
]);
export type QueueAction = z.infer<typeof queueActionSchema>;

/** The queue in numbers, part of `GET /api/info`. */
export const queueSummarySchema = z.object({
  paused: z.boolean(),
  waiting: z.number().int(),
  running: z.number().int(),
  /** Waiting jobs in the order in which they will start. */
  order: z.array(z.string()),
  limit: z.number().int(),
  /** Times measured on this machine, newest first; empty before the first image. */
  measured: z.array(
    z.object({
      checkpoint: z.string(),
      width: z.number().int(),
      height: z.number().int(),
      steps: z.number().int(),
      generate_ms: z.number(),
      /** Null until an upscale of that size was measured. */
      upscale_ms: z.number().nullable(),
      pictures: z.number().int(),
    }),
  ),
});
export type QueueSummary = z.infer<typeof queueSummarySchema>;
