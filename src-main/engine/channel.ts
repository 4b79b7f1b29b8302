import { z } from 'zod';
import { bindingInUseSchema, deviceNameSchema, ortBindings } from '#shared/domain/device.ts';
import { filledParamsSchema } from '#shared/domain/job.ts';
import { memoryChoiceSchema, memoryPlanSchema, plannedMemorySchema } from '#shared/domain/memory-plan.ts';
import { errorTable, wireErrorSchema } from '#shared/protocol/errors.ts';
import { progressStageSchema } from '#shared/protocol/messages.ts';

/**
 * What the supervisor and the engine's process say to each other, over Node's IPC or Electron's message port. Each end parses what it gets with these
 * schemas; anything else from the process means that its memory is not to be trusted. Both sides are one build, so there is no version.
 */

const accuracySchema = z.enum(['exact', 'fast']);

/** Names a task on the channel and in the cancel flag shared with the model thread; the same after a restart. */
const taskIdSchema = z.number().int().min(1).max(0x7fff_ffff);

const pngTextSchema = z.object({ keyword: z.string(), text: z.string(), plain: z.boolean().exactOptional() });

const workerConfigSchema = z.object({
  device: deviceNameSchema,
  /** Why this device, for people. */
  deviceReason: z.string(),
  /** What `fast` computes in on a GPU. */
  gpuPrecision: z.enum(['bf16', 'fp16']).exactOptional(),
  /** Threads that a model runs on. */
  threads: z.number().int().min(1),
  /** How ONNX Runtime is called; `auto` without it. */
  binding: z.enum(ortBindings).exactOptional(),
  /** Folder of the compiled graphs. */
  cacheDir: z.string(),
});
export type WorkerConfig = z.infer<typeof workerConfigSchema>;

const generateOrderSchema = z.object({
  type: z.literal('generate'),
  id: taskIdSchema,
  accuracy: accuracySchema,
  /** `auto` plans by what is free; a plan is taken as it is: it was chosen, or another one failed. */
  memory: memoryChoiceSchema,
  checkpointDir: z.string(),
  checkpointIdentity: z.string(),
  /** Already checked against their ranges at the front door. */
  params: filledParamsSchema,
  /** Whether anybody looks at previews. */
  previews: z.boolean(),
  outputPath: z.string(),
  texts: z.array(pngTextSchema),
});
export type GenerateOrder = z.infer<typeof generateOrderSchema>;

const upscaleOrderSchema = z.object({
  type: z.literal('upscale'),
  id: taskIdSchema,
  accuracy: accuracySchema,
  upscalerPath: z.string(),
  upscalerIdentity: z.string(),
  /** Whatever the device is: there it failed. */
  onCpu: z.boolean(),
  inputPath: z.string(),
  outputPath: z.string(),
  texts: z.array(pngTextSchema),
});
export type UpscaleOrder = z.infer<typeof upscaleOrderSchema>;

const probeOrderSchema = z.object({
  type: z.literal('probe'),
  device: deviceNameSchema,
  threads: z.number().int().min(1),
  binding: z.enum(ortBindings),
});
export type ProbeOrder = z.infer<typeof probeOrderSchema>;

/** Supervisor to process. `start` comes first and once; `probe` comes alone, to a process that is ended afterwards. */
export const orderSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), config: workerConfigSchema }),
  generateOrderSchema,
  upscaleOrderSchema,
  z.object({ type: z.literal('cancel'), id: taskIdSchema }),
  probeOrderSchema,
]);
export type Order = z.infer<typeof orderSchema>;
export type TaskOrder = GenerateOrder | UpscaleOrder;

const errorSchema = wireErrorSchema.refine(({ code, data }) => errorTable[code].data.safeParse(data).success, 'data must fit the code');

const taskReportSchema = z.object({
  stagesMs: z.partialRecord(progressStageSchema, z.number().nonnegative()),
  device: deviceNameSchema,
  deviceReason: z.string(),
  accuracy: accuracySchema,
  width: z.number().int(),
  height: z.number().int(),
});

/** Process to supervisor. Of a task: `progress` and `preview` any number of times, `model_done`, then `done`; or `failed` in place of all that would follow. */
export const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  /** After `ready`, once: how the process calls ONNX Runtime. */
  z.object({ type: z.literal('bound'), inUse: bindingInUseSchema }),
  z.object({ type: z.literal('heartbeat'), residentBytes: z.number().nonnegative() }),
  z.object({ type: z.literal('progress'), id: taskIdSchema, stage: progressStageSchema, done: z.number().nonnegative(), total: z.number().nonnegative() }),
  z.object({
    type: z.literal('preview'),
    id: taskIdSchema,
    step: z.number().int(),
    width: z.number().int().positive(),
    height: z.number().int().positive(),
    rgb: z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array),
  }),
  /** Before a checkpoint's parts are loaded: how they will share memory, and the plan to go on with should it run out all the same. */
  z.object({ type: z.literal('planned'), id: taskIdSchema, decision: plannedMemorySchema.extend({ next: memoryPlanSchema.nullable() }) }),
  z.object({ type: z.literal('model_done'), id: taskIdSchema }),
  z.object({ type: z.literal('done'), id: taskIdSchema, report: taskReportSchema }),
  z.object({ type: z.literal('failed'), id: taskIdSchema, error: errorSchema }),
  /** The answer to `probe`; `error` is the largest difference from the right numbers as a share of the largest, null where a number is none. */
  z.object({
    type: z.literal('probed'),
    result: z.object({ milliseconds: z.number().nonnegative(), error: z.number().nonnegative().nullable() }).or(z.object({ refusal: z.string() })),
  }),
  /** The process is beyond repair and waits to be ended. */
  z.object({ type: z.literal('fatal'), error: errorSchema }),
]);
export type EngineEvent = z.infer<typeof eventSchema>;
