import { z } from 'zod';
import { cudaPackSchema } from '../domain/cuda-pack.ts';
import { firstForward, fitSchema, forwardsOf, modelTypeSchema, preprocessSchema, taskTypeSchema, upscaleChoiceSchema } from '../domain/job.ts';
import { modelEntrySchema } from '../domain/model.ts';
import { exampleCudaPack, exampleImageHash, exampleJobId, exampleModel, exampleParams, exampleResult } from './examples.ts';
import { settingNameSchema } from './settings.ts';

/** The WebSocket contract: what each side says, as schemas. Both ends parse with these; there is no second list. Source: `docs/protocol.md`. */

export const SIZE_UNIT_PX = 16;
export const MAX_PICTURE_PIXELS = 4_194_304;
/** Of an image that a job starts from. */
export const MAX_INPUT_PIXELS = 16_777_216;
/** In UTF-16 units. */
export const MAX_PROMPT_LENGTH = 4000;

/** Jobs in one `client_jobs`. */
export const MAX_CLIENT_JOBS = 1000;

export const requestIdSchema = z.union([z.string().max(256), z.number()]).optional();
const jobId = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
const sidePx = z.number().int().min(256).max(2048).multipleOf(SIZE_UNIT_PX);

const text = z
  .string()
  .max(MAX_PROMPT_LENGTH)
  .refine((value) => value.isWellFormed(), 'must be whole Unicode: half of a surrogate pair stands in it');

/** An upload's `id`, or the file name of an image made here. */
const imageReference = z.string().min(1).max(255);

const share = z.number().min(0).max(1);

const controlSchema = z
  .strictObject({
    image: imageReference,
    model: z.string().min(1).max(255),
    scale: z.number().min(0).max(2).default(0.75),
    /** The shares of the denoising steps between which it counts. */
    start: share.default(0),
    end: share.default(1),
    preprocess: preprocessSchema.default('none'),
  })
  .refine(({ start, end }) => start < end, { path: ['start'], message: 'must be below end' });

const generateParamsSchema = z.strictObject({
  prompt: text.min(1).refine((value) => value.trim() !== '', 'must not be only white space'),
  width: sidePx.default(1024),
  height: sidePx.default(1024),
  steps: z.number().int().min(1).max(50).default(9),
  guidance_scale: z.number().min(0).max(20).default(0),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(42),
  model_type: modelTypeSchema.default('uint4'),
  /** 4 without it. */
  upscale: upscaleChoiceSchema.optional().meta({ default: 4 }),
  /** What the image should not show; used where guidance_scale is above 0. */
  negative_prompt: text.optional().meta({ default: '' }),
  /** At most four, each an installed LoRA by its name. */
  loras: z
    .array(z.strictObject({ name: z.string().min(1).max(255), weight: z.number().min(-4).max(4).default(1) }))
    .max(4)
    .optional()
    .meta({ default: [] }),
  /** An image that guides the composition through an installed ControlNet, which is named by `model`. */
  control: controlSchema.optional(),
});

function withinPixels<S extends z.ZodType<{ width: number; height: number }>>(schema: S): S {
  return schema.refine((params) => params.width * params.height <= MAX_PICTURE_PIXELS, {
    path: ['width'],
    message: `width x height must be at most ${MAX_PICTURE_PIXELS} pixels`,
  });
}

export const textToImageParamsSchema = withinPixels(generateParamsSchema);

const strength = z.number().gt(0).max(1);

/** Of the shortest side of an image that a job starts from. */
export const MIN_INPUT_SIDE_PX = 16;

function leavingSteps<S extends z.ZodType<{ steps: number; strength: number }>>(schema: S): S {
  const leavesSteps = ({ steps, strength }: { steps: number; strength: number }) => firstForward(forwardsOf(steps), strength) < forwardsOf(steps);
  return schema.refine(leavesSteps, { path: ['strength'], message: 'leaves no step to run: raise strength, or steps' });
}

const imageToImageParamsSchema = leavingSteps(
  withinPixels(generateParamsSchema.extend({ image: imageReference, strength: strength.default(0.6), fit: fitSchema.default('cover') })),
);

/** Of `only_masked`. */
export const DEFAULT_PADDING_PX = 32;

const growth = z.number().int().min(0).max(2048).default(0);

const inpaintParamsSchema = leavingSteps(
  withinPixels(
    generateParamsSchema.extend({
      image: imageReference,
      /** As large as the image. White is repainted; in a mask with transparency, what is transparent. */
      mask: imageReference.optional(),
      strength: strength.default(1),
      fit: fitSchema.default('cover'),
      expand: z.strictObject({ left: growth, top: growth, right: growth, bottom: growth }).optional(),
      feather: z.number().int().min(0).max(256).default(0),
      /** False gives the result of diffusers, whose kept pixels change a little too. */
      composite: z.boolean().optional().meta({ default: true }),
      /** Makes only what is around the mask, at width x height, and puts it back into the image, which keeps its size. */
      only_masked: z.boolean().optional().meta({ default: false }),
      /** Pixels around the mask that only_masked includes; 32 without it. */
      padding: z.number().int().min(0).max(1024).optional().meta({ default: DEFAULT_PADDING_PX }),
    }),
  ),
)
  .refine(({ only_masked, padding }) => only_masked === true || padding === undefined, { path: ['padding'], message: 'needs only_masked' })
  .refine(({ mask, expand = { left: 0, top: 0, right: 0, bottom: 0 } }) => mask !== undefined || Object.values(expand).some((pixels) => pixels > 0), {
    path: ['mask'],
    message: 'may be left out only if expand adds pixels',
  });

const upscaleParamsSchema = z.strictObject({
  image: imageReference,
  scale: z.union([z.literal(2), z.literal(4)]).default(4),
  /** Name of an installed upscaler; without it the active one is used. */
  upscaler: z.string().min(1).max(255).optional(),
});

export const createJobSchema = z.discriminatedUnion('task_type', [
  z.object({ type: z.literal('create_job'), task_type: z.literal('text_to_image'), request_id: requestIdSchema, params: textToImageParamsSchema }).meta({
    description:
      'Requests an image and, unless upscale is false, its upscaled version. The same params again join the job that exists, or return the saved result.',
    examples: [{ type: 'create_job', task_type: 'text_to_image', request_id: 'req-001', params: exampleParams }],
  }),
  z.object({ type: z.literal('create_job'), task_type: z.literal('image_to_image'), request_id: requestIdSchema, params: imageToImageParamsSchema }).meta({
    description: 'Requests an image that starts from another one. strength says how much may change.',
    examples: [
      { type: 'create_job', task_type: 'image_to_image', request_id: 'req-007', params: { ...exampleParams, image: exampleImageHash, strength: 0.6 } },
    ],
  }),
  z.object({ type: z.literal('create_job'), task_type: z.literal('inpaint'), request_id: requestIdSchema, params: inpaintParamsSchema }).meta({
    description: 'Requests an image whose masked parts are painted again, or that grows beyond its edges. Other pixels stay as they are.',
    examples: [
      {
        type: 'create_job',
        task_type: 'inpaint',
        request_id: 'req-008',
        params: { ...exampleParams, image: exampleImageHash, mask: exampleImageHash.replaceAll('0', '1'), feather: 8 },
      },
    ],
  }),
  z.object({ type: z.literal('create_job'), task_type: z.literal('upscale'), request_id: requestIdSchema, params: upscaleParamsSchema }).meta({
    description: 'Requests a larger version of an image: an upload, or one that was made here. Its result has one image.',
    examples: [{ type: 'create_job', task_type: 'upscale', request_id: 'req-006', params: { image: exampleImageHash, scale: 2 } }],
  }),
]);

export const clientMessageSchema = z.discriminatedUnion('type', [
  createJobSchema,
  z
    .object({ type: z.literal('get_status'), job_id: jobId, request_id: requestIdSchema })
    .meta({ description: 'Asks for the state of a job; job_status answers.', examples: [{ type: 'get_status', job_id: exampleJobId, request_id: 'req-002' }] }),
  z.object({ type: z.literal('cancel_job'), job_id: jobId, request_id: requestIdSchema }).meta({
    description: 'Cancels a pending or processing job. It stops within one step if no other client wants it.',
    examples: [{ type: 'cancel_job', job_id: exampleJobId, request_id: 'req-003' }],
  }),
  z
    .object({
      type: z.literal('get_client_jobs'),
      /** Ours: at most this many jobs, and only jobs that are older than the job `before`. */
      limit: z.number().int().min(1).max(MAX_CLIENT_JOBS).optional(),
      before: jobId.optional(),
      request_id: requestIdSchema,
    })
    .meta({
      description: 'Asks for the jobs that this client_id requested, newest first; client_jobs answers.',
      examples: [{ type: 'get_client_jobs', limit: 100, request_id: 'req-004' }],
    }),
  /** Ours: live previews, events of all jobs, and what was missed since event number `since`. */
  z
    .object({
      type: z.literal('watch'),
      previews: z.boolean().optional(),
      all: z.boolean().optional(),
      /** `model_progress` and `cuda_pack_progress` of installations too. */
      models: z.boolean().optional(),
      since: z.number().int().nonnegative().optional(),
      request_id: requestIdSchema,
    })
    .meta({
      description:
        'Subscribes to previews, to the events of all jobs or to the installation of models; since also sends what this client_id has missed. watching answers.',
      examples: [{ type: 'watch', previews: true, since: 17, request_id: 'req-005' }],
    }),
]);
export type ClientMessage = z.infer<typeof clientMessageSchema>;
/** A schema for each message, and for each task of `create_job`. */
const [, ...otherSchemas] = clientMessageSchema.options;
export const clientMessageSchemas = [...createJobSchema.options, ...otherSchemas];
export const clientMessageTypes: readonly ClientMessage['type'][] = [...new Set(clientMessageSchemas.map(({ shape }) => shape.type.value))];
export type ClientMessageOf<T extends ClientMessage['type']> = Extract<ClientMessage, { type: T }>;
export type CreateJob = ClientMessageOf<'create_job'>;
export type RequestId = z.infer<typeof requestIdSchema>;

export const jobStatusNameSchema = z.enum(['pending', 'processing', 'generated', 'completed', 'failed', 'cancelled']);

/** While `generated`: filename and local_path. When `completed`: filename, path and, if a second image was wanted, upscaled_filename. */
export const jobResultSchema = z.object({
  filename: z.string(),
  local_path: z.string().optional(),
  path: z.string().optional(),
  upscaled_filename: z.string().optional(),
});
export type WireJobResult = z.infer<typeof jobResultSchema>;

export const jobStatusMessageSchema = z
  .object({
    type: z.literal('job_status'),
    job_id: jobId,
    status: jobStatusNameSchema,
    result: jobResultSchema.optional(),
    error: z.string().optional(),
    request_id: requestIdSchema,
    // ours, from here on
    code: z.string().optional(),
    cached: z.boolean().optional(),
    /** The images were moved to the bin (true) or restored (false) after the job had ended. */
    deleted: z.boolean().optional(),
    seq: z.number().int().optional(),
    /** Place in the queue, 1 is next. */
    position: z.number().int().optional(),
    wait_ms: z.number().optional(),
    eta_ms: z.number().optional(),
    checkpoint: z.string().optional(),
    /** What went otherwise than chosen, a sentence each: another device, or float32 after numbers that were none. */
    setbacks: z.array(z.string()).optional(),
  })
  .meta({
    description: 'A job entered a state: pending, processing, generated, completed, failed or cancelled. Also the answer to get_status and cancel_job.',
    examples: [{ type: 'job_status', job_id: exampleJobId, status: 'completed', result: exampleResult, request_id: 'req-001', seq: 21 }],
  });
export type JobStatusMessage = z.infer<typeof jobStatusMessageSchema>;

export const progressStageSchema = z.enum(['loading', 'encoding', 'generating', 'decoding', 'upscaling', 'saving']);
export type ProgressStage = z.infer<typeof progressStageSchema>;

export const jobProgressMessageSchema = z
  .object({
    type: z.literal('job_progress'),
    job_id: jobId,
    progress: z.object({
      stage: progressStageSchema,
      /** floor(100 * current_step / total_steps): denoising only, in every stage; never falls. */
      percentage: z.number().int().min(0).max(100),
      current_step: z.number().int(),
      total_steps: z.number().int(),
      elapsed: z.string(),
      remaining: z.string(),
      speed: z.string(),
      type: z.literal('progress'),
      /** Ours: how much of this stage is done, 0 to 1. */
      stage_fraction: z.number().min(0).max(1).optional(),
    }),
    seq: z.number().int().optional(),
  })
  .meta({
    description: 'Progress of a running job. Each denoising step sends one; the other stages send up to ten a second.',
    examples: [
      {
        type: 'job_progress',
        job_id: exampleJobId,
        progress: {
          stage: 'generating',
          percentage: 44,
          current_step: 4,
          total_steps: 9,
          elapsed: '00:15',
          remaining: '00:18',
          speed: '3.75s/it',
          type: 'progress',
        },
        seq: 19,
      },
    ],
  });
export type JobProgressMessage = z.infer<typeof jobProgressMessageSchema>;

/** Ours: the image so far. `data` is a base64 JPEG or PNG as `media_type` says. */
export const jobPreviewMessageSchema = z
  .object({
    type: z.literal('job_preview'),
    job_id: jobId,
    step: z.number().int(),
    media_type: z.enum(['image/jpeg', 'image/png']),
    width: z.number().int(),
    height: z.number().int(),
    data: z.string(),
    seq: z.number().int().optional(),
  })
  .meta({
    description: 'The image so far, for connections that asked for previews by watch.',
    examples: [{ type: 'job_preview', job_id: exampleJobId, step: 4, media_type: 'image/jpeg', width: 64, height: 64, data: '/9j/4AAQ', seq: 20 }],
  });
export type JobPreviewMessage = z.infer<typeof jobPreviewMessageSchema>;

/** Ours: a model's state or how far its download is, to who watches models; at most four a second of each. */
const modelProgressMessageSchema = z.object({ type: z.literal('model_progress'), model: modelEntrySchema }).meta({
  description: 'The state of a model or the progress of its download, for connections that asked for models by watch.',
  examples: [{ type: 'model_progress', model: exampleModel }],
});

/** Ours: the CUDA pack's state or how far its installation is, to who watches models; at most four a second. */
const cudaPackProgressMessageSchema = z.object({ type: z.literal('cuda_pack_progress'), pack: cudaPackSchema }).meta({
  description: 'The state of the CUDA pack or the progress of its installation, for connections that asked for models by watch.',
  examples: [{ type: 'cuda_pack_progress', pack: exampleCudaPack }],
});

const clientJobsMessageSchema = z
  .object({
    type: z.literal('client_jobs'),
    jobs: z.array(
      z.object({
        job_id: jobId,
        task_type: taskTypeSchema,
        status: jobStatusNameSchema,
        /** Unix seconds. */
        created_at: z.number(),
        result: jobResultSchema.nullable(),
      }),
    ),
    /** Ours: there are older jobs; `get_client_jobs` with the last `job_id` as `before` lists them. */
    more: z.literal(true).optional(),
    request_id: requestIdSchema,
  })
  .meta({
    description: 'The answer to get_client_jobs.',
    examples: [
      {
        type: 'client_jobs',
        jobs: [{ job_id: exampleJobId, task_type: 'text_to_image', status: 'completed', created_at: 1_770_163_200.25, result: exampleResult }],
        request_id: 'req-004',
      },
    ],
  });

const watchingMessageSchema = z
  .object({
    type: z.literal('watching'),
    /** The number of the newest event of this client. */
    seq: z.number().int(),
    request_id: requestIdSchema,
  })
  .meta({ description: 'The answer to watch, with the number of the newest event.', examples: [{ type: 'watching', seq: 21, request_id: 'req-005' }] });

/** Ours, to those who watch all jobs: a star was given to a job, or taken away. */
const jobStarredMessageSchema = z.object({ type: z.literal('job_starred'), job_id: jobId, starred: z.boolean() }).meta({
  description: 'A job got or lost its star, for connections that watch all jobs.',
  examples: [{ type: 'job_starred', job_id: exampleJobId, starred: true }],
});

/** Ours, to those who watch all jobs: these settings were changed. `GET /api/settings` has the values, for callers that may read them. */
const settingsChangedMessageSchema = z.object({ type: z.literal('settings_changed'), names: z.array(settingNameSchema) }).meta({
  description: 'These settings were changed, for connections that watch all jobs. GET /api/settings has the values.',
  examples: [{ type: 'settings_changed', names: ['disk_limit_gb'] }],
});

export const errorMessageSchema = z
  .object({
    type: z.literal('error'),
    message: z.string(),
    request_id: requestIdSchema,
    code: z.string(),
    field: z.string().optional(),
    /** Where trying again later helps: after how long. */
    retry_after_ms: z.number().int().optional(),
  })
  .meta({
    description: 'A message was refused. Programs decide by code; the message is for people. The connection stays open.',
    examples: [
      {
        type: 'error',
        message: 'width is "1024"; it must be a whole number from 256 to 2048 that divides by 16.',
        request_id: 'req-001',
        code: 'bad_param',
        field: 'width',
      },
    ],
  });
export type ErrorMessage = z.infer<typeof errorMessageSchema>;

export const serverMessageSchema = z.discriminatedUnion('type', [
  jobStatusMessageSchema,
  jobProgressMessageSchema,
  jobPreviewMessageSchema,
  modelProgressMessageSchema,
  cudaPackProgressMessageSchema,
  clientJobsMessageSchema,
  watchingMessageSchema,
  jobStarredMessageSchema,
  settingsChangedMessageSchema,
  errorMessageSchema,
]);
export type ServerMessage = z.infer<typeof serverMessageSchema>;
