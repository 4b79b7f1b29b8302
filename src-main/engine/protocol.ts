import { z } from 'zod';
import { controlSchema, imageInputsSchema, maskSchema } from '#main/lib/image-inputs.ts';
import type { RpcContract, RpcListeners } from '#main/lib/rpc.ts';
import { bindingInUseSchema, deviceNameSchema, ortBindings } from '#shared/domain/device.ts';
import { filledParamsSchema, fitSchema } from '#shared/domain/job.ts';
import { memoryChoiceSchema, memoryPlanSchema, plannedMemorySchema } from '#shared/domain/memory-plan.ts';
import { recipeFactsSchema } from '#shared/domain/recipe.ts';
import { wireErrorSchema } from '#shared/protocol/errors.ts';
import { progressStageSchema } from '#shared/protocol/messages.ts';

/** Everything that crosses the borders of the engine: server and worker process, worker process and model thread. */

/** `exact` is float32 throughout; `fast` uses int8 activations where they pay. */
const accuracySchema = z.enum(['exact', 'fast']);
export type Accuracy = z.infer<typeof accuracySchema>;

const bytesSchema = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array, 'bytes are needed');
/** What is written into the file beside its pixels; null for nothing. */
const provenanceSchema = z
  .object({
    recipe: recipeFactsSchema,
    /** Whether the file gets the marks of an AI image. */
    isMarked: z.boolean(),
  })
  .nullable();
export type Provenance = z.infer<typeof provenanceSchema>;

/** `low` lets every other program go first. */
const prioritySchema = z.enum(['normal', 'low']);
export type Priority = z.infer<typeof prioritySchema>;

/** What `fast` computes in on a GPU, from the fastest to the safest. `fp16` keeps the residual stream in float32. */
export const precisions = ['bf16', 'fp16', 'fp32'] as const;
export type Precision = (typeof precisions)[number];
const precisionSchema = z.enum(precisions);

const workerConfigSchema = z.object({
  device: deviceNameSchema,
  /** Why this device, for people. */
  deviceReason: z.string(),
  /** Of a GPU. */
  gpuPrecision: precisionSchema.exactOptional(),
  /** Threads that a model runs on. */
  threads: z.number().int().min(1),
  /** How ONNX Runtime is called; `auto` without it. */
  binding: z.enum(ortBindings).exactOptional(),
  /** Of the threads that models run on; `normal` without it. */
  priority: prioritySchema.exactOptional(),
  /** Folder of the compiled graphs. */
  cacheDir: z.string(),
});
export type WorkerConfig = z.infer<typeof workerConfigSchema>;

/** What an image is made from beside its params, as files: the worker process reads them, so that pixels cross one border less. */
const inputFilesSchema = imageInputsSchema.pick({ negativePrompt: true, loras: true }).extend({
  /** PNGs of ours. */
  source: z.object({ path: z.string(), strength: z.number(), fit: fitSchema }).exactOptional(),
  mask: maskSchema.omit({ mask: true }).extend({ path: z.string().nullable() }).exactOptional(),
  control: controlSchema.omit({ image: true }).extend({ path: z.string() }).exactOptional(),
  /** Images of an edit, in the user's order. */
  references: z.array(z.string()).exactOptional(),
});
export type InputFiles = z.infer<typeof inputFilesSchema>;

const generateTaskSchema = z.object({
  /** Already checked against their ranges. */
  params: filledParamsSchema,
  /** What the image is made from beside its params; nothing for a plain text_to_image. */
  inputs: imageInputsSchema.exactOptional(),
  /** Becomes `inputs` in the worker process. */
  files: inputFilesSchema.exactOptional(),
  /** Checkpoint folder in Hugging Face layout. */
  checkpointDir: z.string(),
  /** `Checkpoint.fingerprint` of that folder: compiled graphs are kept under it. */
  checkpointIdentity: z.string(),
  /** Where the PNG goes, complete and fsynced when the task resolves. The caller renames it, and removes it after a rejection. */
  outputPath: z.string(),
  /** Where the PNG goes instead if `outputPath` cannot be written; the task then still fails, and its error names this path. */
  sparePath: z.string().exactOptional(),
  provenance: provenanceSchema,
});
export type GenerateTask = z.infer<typeof generateTaskSchema>;

const upscaleTaskSchema = z.object({
  /** PNG of this program to upscale, with or without alpha. */
  inputPath: z.string(),
  /** 4 without it. */
  scale: z.union([z.literal(2), z.literal(4)]).exactOptional(),
  /** It is all that its job does; without it, it continues a job that has begun. */
  startsJob: z.boolean().exactOptional(),
  /** safetensors file of the upscaler. */
  upscalerPath: z.string(),
  /** `Upscaler.fingerprint` of that file. */
  upscalerIdentity: z.string(),
  outputPath: z.string(),
  sparePath: z.string().exactOptional(),
  provenance: provenanceSchema,
});
export type UpscaleTask = z.infer<typeof upscaleTaskSchema>;

const requestFields = { id: z.number().int().min(1), accuracy: accuracySchema };

const generateRequestSchema = generateTaskSchema.extend({
  ...requestFields,
  /** `auto` plans by what is free; a plan is used as it is: it was chosen, or another one failed. */
  memory: memoryChoiceSchema,
  /** Whether anybody looks at previews. */
  previews: z.boolean(),
});
export type GenerateRequest = z.infer<typeof generateRequestSchema>;

const upscaleRequestSchema = upscaleTaskSchema.extend({
  ...requestFields,
  /** Whatever the device is: there it failed. */
  onCpu: z.boolean(),
});
export type UpscaleRequest = z.infer<typeof upscaleRequestSchema>;

/** Progress within a stage: `done` of `total` steps, tiles, bands or bytes. In `generating` message k follows forward k, and done reaches total. */
const progressSchema = z.object({ stage: progressStageSchema, done: z.number().nonnegative(), total: z.number().nonnegative() });
export type EngineProgress = z.infer<typeof progressSchema>;

/** A small image of the latents so far, RGB [height, width, 3]. */
const previewSchema = z.object({ step: z.number().int(), width: z.number().int().positive(), height: z.number().int().positive(), rgb: bytesSchema });
export type EnginePreview = z.infer<typeof previewSchema>;

const imageSchema = z.object({
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  data: bytesSchema,
  alpha: bytesSchema.exactOptional(),
});

/** How a checkpoint's parts will share memory, and the plan to use next should memory run out all the same. */
const plannedSchema = plannedMemorySchema.extend({ next: memoryPlanSchema.nullable() });

/** Time in milliseconds that each stage of a task took, and the device that ran it. */
const taskReportSchema = z.object({
  stagesMs: z.partialRecord(progressStageSchema, z.number().nonnegative()),
  device: deviceNameSchema,
  deviceReason: z.string(),
  accuracy: accuracySchema,
  width: z.number().int(),
  height: z.number().int(),
  /** SHA-256 of the image's pixels, see `pixelHash`. */
  pixelsSha256: z.string(),
});
export type WorkerReport = z.infer<typeof taskReportSchema>;

/** A sentence for the task's report: something went another way than was chosen, and the task goes on. */
const fallback = z.string();
const generateEvents = { progress: progressSchema, preview: previewSchema, planned: plannedSchema, fallback };
const upscaleEvents = { progress: progressSchema, fallback };
/** The model work is over: the next task may have the device while the image is encoded and written. */
const modelDone = z.null();

export const probedOperatorSchema = z.object({ name: z.string(), type: z.enum(['float32', 'float16', 'bfloat16']) });
export type ProbedOperator = z.infer<typeof probedOperatorSchema>;

const probeResultSchema = z.object({
  /** The first operator with wrong numbers, else the last one. */
  operator: probedOperatorSchema,
  /** Its largest difference from the right numbers as a share of the largest, null where there are NaN values; and the error that is allowed. */
  error: z.number().nonnegative().nullable(),
  tolerance: z.number().positive(),
  /** Of a chain of 4-bit products, and its floating point operations per second; 0 after a wrong operator. */
  milliseconds: z.number().nonnegative(),
  productRate: z.number().nonnegative(),
});
export type ProbeResult = z.infer<typeof probeResultSchema>;

/** Server to worker process. `start` comes first and once; `probe` comes alone, to a process that is ended afterwards. */
export const engineProtocol = {
  calls: {
    start: { params: workerConfigSchema, result: bindingInUseSchema, events: { ready: z.null() } },
    generate: { params: generateRequestSchema, result: taskReportSchema, events: { ...generateEvents, modelDone } },
    upscale: { params: upscaleRequestSchema, result: taskReportSchema, events: { ...upscaleEvents, modelDone } },
    probe: {
      params: z.object({ device: deviceNameSchema, precision: precisionSchema, threads: z.number().int().min(1), binding: z.enum(ortBindings) }),
      result: probeResultSchema,
      /** Before an operator runs, so that a crash can be ascribed to it. */
      events: { operator: probedOperatorSchema },
    },
  },
  announcements: {
    heartbeat: z.object({ residentBytes: z.number().nonnegative() }),
    /** The process is beyond repair and waits to be ended. */
    fatal: wireErrorSchema,
  },
} satisfies RpcContract;

/** One flag, not 0 once the call is cancelled: the model thread hears no message while a native call runs. */
const cancelFlagSchema = z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer, 'shared memory is needed');

/** Worker process to model thread. */
export const modelThreadProtocol = {
  calls: {
    generate: { params: z.object({ request: generateRequestSchema, cancelFlag: cancelFlagSchema }), result: imageSchema, events: generateEvents },
    upscale: {
      params: z.object({ request: upscaleRequestSchema, input: imageSchema, cancelFlag: cancelFlagSchema }),
      result: imageSchema,
      events: upscaleEvents,
    },
  },
  announcements: {},
} satisfies RpcContract;

export type GenerateListeners = RpcListeners<typeof engineProtocol, 'generate'>;
