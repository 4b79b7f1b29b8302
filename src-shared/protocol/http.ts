import { z } from 'zod';
import { bindingInUseSchema } from '../domain/device.ts';
import { imageHashSchema, modelTypeSchema } from '../domain/job.ts';
import { labelSchema, queueSummarySchema } from '../domain/job-record.ts';
import { memoryChoiceSchema, memoryPlanSchema } from '../domain/memory-plan.ts';
import { extraMetadataSchema, modelEntrySchema, modelLimitsSchema } from '../domain/model.ts';
import { recipeSchema } from '../domain/recipe.ts';
import { MAX_INPUT_PIXELS, MAX_PICTURE_PIXELS, MAX_PROMPT_LENGTH, SIZE_UNIT_PX } from './messages.ts';

/** The HTTP contract beside the WebSocket one: what the server answers, as schemas. Source: `docs/protocol.md`. */

export const healthSchema = z.object({ status: z.literal('ok') });

/** Body of every HTTP error. Data of the code (`retryAfterMs`, `limit` …) stand beside these. */
export const httpErrorSchema = z.looseObject({
  code: z.string(),
  message: z.string(),
  field: z.string().optional(),
});
export type HttpError = z.infer<typeof httpErrorSchema>;

/** A checkpoint that can run. */
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
export type Model = z.infer<typeof modelSchema>;

/** Everything that is installed and that can be. */
export const modelsSchema = z.object({
  models: z.array(modelEntrySchema),
  limits: modelLimitsSchema,
  /** Where downloads go, in the layout of the Hugging Face cache. */
  cache_dir: z.string(),
});
export type Models = z.infer<typeof modelsSchema>;

const engineStateSchema = z.enum(['stopped', 'starting', 'ready', 'unavailable']);

export const infoSchema = z.object({
  version: z.string(),
  models: z.array(modelSchema),
  upscaler: z.object({ name: z.string(), license: z.string() }).nullable(),
  engine: z.object({
    state: engineStateSchema,
    /** Execution provider, `cpu` … */
    device: z.string(),
    device_reason: z.string(),
    accuracy: z.enum(['exact', 'fast']),
    /** How the parts of a checkpoint share memory. */
    memory: z.object({
      /** `auto`, what `--memory` says, or the plan that took the place of one that failed. */
      choice: memoryChoiceSchema,
      stepped_down: z.boolean(),
      /** Memory plan of the most recently loaded checkpoint; null before the first. */
      planned: z.object({ plan: memoryPlanSchema, need_bytes: z.number(), free_bytes: z.number().nullable() }).nullable(),
    }),
    /** The pinned version, and how the engine's process calls it: `c-api` or `node`, and why; null before its first start. */
    onnxruntime: z.object({ version: z.string(), binding: bindingInUseSchema.shape.binding.nullable(), binding_reason: z.string().nullable() }),
    resident_bytes: z.number(),
    restarts: z.number().int(),
    /** Every device in use, each with its own process. The fields above describe the first one; numbers are sums. */
    devices: z.array(z.object({ device: z.string(), device_reason: z.string(), state: engineStateSchema, resident_bytes: z.number() })),
  }),
  queue: queueSummarySchema,
  limits: z.object({
    size_unit_px: z.literal(SIZE_UNIT_PX),
    max_pixels: z.literal(MAX_PICTURE_PIXELS),
    max_input_pixels: z.literal(MAX_INPUT_PIXELS),
    max_frame_bytes: z.number().int(),
    max_upload_bytes: z.number().int(),
    thumbnail_widths: z.array(z.number().int()),
  }),
  memory: z.object({ total_bytes: z.number(), free_bytes: z.number(), server_bytes: z.number() }),
  /** Of the disk with the image folder; null while it does not answer. */
  disk: z.object({ total_bytes: z.number(), free_bytes: z.number() }).nullable(),
  access: z.object({
    /** Whether this very request came from the machine that the server runs on. */
    from_this_machine: z.boolean(),
    /** Whether other machines need no key. */
    open: z.boolean(),
  }),
});
export type Info = z.infer<typeof infoSchema>;

/** Widths of the thumbnails of `GET /api/image/{filename}?w=`; a narrower image keeps its width. */
export const THUMBNAIL_WIDTHS = [64, 128, 256, 384, 512, 768, 1024] as const;

const exportFormatSchema = z.enum(['png', 'jpeg', 'webp']);
export type ExportFormat = z.infer<typeof exportFormatSchema>;
const exportMetadataSchema = z.enum(['all', 'marks', 'none']);
export type ExportMetadata = z.infer<typeof exportMetadataSchema>;

/** Pages put other params behind the address so that no cache answers; they are ignored, as the original ignores them. */
export const imageQuerySchema = z.object({
  w: z.union(THUMBNAIL_WIDTHS.map((width) => z.literal(width))).optional(),
  /** A copy in this format; without `w`. */
  format: exportFormatSchema.optional(),
  /** Of a JPEG or WebP copy, 1 to 100. */
  quality: z.number().int().min(1).max(100).default(90),
  /** `all`: recipe and marks. `marks`: only that AI made it, no prompt. `none`: pixels only. The name of a copy says so. */
  metadata: exportMetadataSchema.default('all'),
});

/** How an image was made, read from its file. */
export const receiptSchema = z.object({
  filename: z.string(),
  recipe: recipeSchema,
  /** Of an upscaled image: the image that it was upscaled from, and whether its pixels are still those. */
  original: z.object({ filename: z.string(), pixels_sha256: z.string().nullable(), is_unchanged: z.boolean().nullable() }).nullable(),
});
export type Receipt = z.infer<typeof receiptSchema>;

export const jobPatchSchema = z.strictObject({ starred: z.boolean() });

export const binSchema = z.object({
  /** How many jobs were permanently deleted. */
  removed: z.number().int(),
  /** The jobs that are still in the bin, and why; absent where all were deleted. */
  failed: z.array(z.object({ job_id: z.string(), code: z.string(), message: z.string() })).optional(),
});

/** What of an uploaded file is not in its decoded image: only the first frame or page is read, CMYK becomes sRGB, 16 bits a channel become 8. */
const imageNoticeSchema = z.enum(['first_frame_only', 'converted_from_cmyk', 'reduced_to_8_bits']);
export type ImageNotice = z.infer<typeof imageNoticeSchema>;

/** What an uploaded image holds: its size when shown upright, the texts of a PNG, and our own recipe if it has one. */
export const uploadSchema = z.object({
  /**
   * Names the image in params of jobs: the SHA-256 of the file. The decoded image is kept for 24 hours, and as long as a job refers to it. Null for an image
   * with more pixels than jobs start from: only its texts were read.
   */
  id: imageHashSchema.nullable(),
  /** `png`, `jpeg`, `webp`, `avif`, `tiff` or `gif`, by the file's first bytes. */
  format: z.string(),
  width: z.number().int(),
  height: z.number().int(),
  notices: z.array(imageNoticeSchema),
  texts: z.array(z.object({ keyword: z.string(), text: z.string() })),
  recipe: recipeSchema.nullable(),
});
export type Upload = z.infer<typeof uploadSchema>;

/** `identity` is the SHA-256 of the file. */
const extraModelSchema = extraMetadataSchema.extend({ name: z.string(), identity: z.string(), size_bytes: z.number().int() });

/** By name. */
export const lorasSchema = z.object({ loras: z.array(extraModelSchema) });
/** By name. */
export const controlNetsSchema = z.object({ controlnets: z.array(extraModelSchema) });
export type ControlNets = z.infer<typeof controlNetsSchema>;
export type Loras = z.infer<typeof lorasSchema>;

/** Body of `POST /api/tokens`. */
export const tokensRequestSchema = z.strictObject({ prompt: z.string().max(MAX_PROMPT_LENGTH), model_type: modelTypeSchema.default('uint4') });

export const tokensSchema = z.object({
  /** Tokens of the prompt in the checkpoint's chat template, before any cut. */
  count: z.number().int(),
  /** The model reads this many; the rest is cut off at the end. */
  limit: z.number().int(),
  /** Index, in UTF-16 units, of the first character of the prompt that the model does not see whole; null where it sees all. */
  cut_at: z.number().int().nullable(),
});
export type Tokens = z.infer<typeof tokensSchema>;

/** Where the server can be reached. */
export const networkSchema = z.object({
  /** The address that it listens on; `0.0.0.0` and `::` are every network. */
  host: z.string(),
  port: z.number().int(),
  /** Whether other machines can connect at all. */
  reachable_from_network: z.boolean(),
  /** Whether other machines need the access key; false after `--open`. */
  key_required: z.boolean(),
  /** Whether the `url`s contain the key. They do for a caller that presented it. */
  key_included: z.boolean(),
  /** This machine's addresses at which the server answers, each with a URL to open in a browser. */
  addresses: z.array(z.object({ address: z.string(), interface: z.string(), family: z.enum(['IPv4', 'IPv6']), url: z.string() })),
});
export type Network = z.infer<typeof networkSchema>;

export const clientsSchema = z.object({
  /** Most recently seen first. */
  clients: z.array(
    z.object({
      client_id: z.string(),
      /** Unix seconds; null for one from before this was recorded. */
      first_seen: z.number().nullable(),
      last_seen: z.number().nullable(),
      /** How many jobs it ever asked for. */
      jobs: z.number().int(),
      /** How many connections it has open. */
      connections: z.number().int(),
      /** Where it connected from last. */
      from: z.enum(['this_machine', 'network']).nullable(),
    }),
  ),
  /** Open connections without a client id. */
  anonymous_connections: z.number().int(),
});
export type Clients = z.infer<typeof clientsSchema>;

/** Sizes of the requested images with their numbers of jobs, the most frequent first. */
export const sizesSchema = z.object({ sizes: z.array(z.object({ width: z.number().int(), height: z.number().int(), jobs: z.number().int() })) });
export type Sizes = z.infer<typeof sizesSchema>;

/** Albums and tags of the jobs outside the bin, by name. */
export const labelsSchema = z.object({ labels: z.array(labelSchema.extend({ jobs: z.number().int() })) });
export type Labels = z.infer<typeof labelsSchema>;

export const logLevelSchema = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']);

export const logQuerySchema = z.strictObject({
  /** Leaves out what is less grave. */
  level: logLevelSchema.optional(),
  /** Only lines after this `number`. */
  since: z.number().int().nonnegative().optional(),
  /** At most this many lines, the newest. */
  limit: z.number().int().min(1).max(2000).default(500),
  /** `text` answers a file to be saved instead. */
  format: z.enum(['json', 'text']).default('json'),
});

export const logSchema = z.object({
  /** Oldest first. */
  lines: z.array(
    z.object({
      /** Grows with every line since the start. */
      number: z.number().int(),
      /** ISO 8601, UTC. */
      time: z.string(),
      level: logLevelSchema,
      text: z.string(),
      /** What the line names beside its text. */
      fields: z.record(z.string(), z.unknown()),
    }),
  ),
  /** Goes into `since` to ask for what comes after. */
  newest: z.number().int(),
});
export type LogPage = z.infer<typeof logSchema>;
export type LogLine = LogPage['lines'][number];
