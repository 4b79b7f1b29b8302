import { z } from 'zod';
import {
  filledImageToImageParamsSchema,
  filledInpaintParamsSchema,
  filledParamsSchema,
  filledUpscaleParamsSchema,
  type JobState,
  type JobWork,
  jobStateSchema,
  modelTypeSchema,
} from '#shared/domain/job.ts';
import { appError, toWireError } from '#shared/protocol/errors.ts';

/** A model as a job names it. */
export interface ModelName {
  name: string;
  identity: string;
}

interface AnyStoredJob {
  /** Grows with every request for an image: the cursor of lists. */
  number: number;
  jobId: string;
  /** Null for a job that needs none. */
  checkpoint: ModelName | null;
  upscaler: ModelName | null;
  /** Name of the first image, reserved when the job is accepted; the file is there from `generated` on. */
  filename: string;
  state: JobState;
  /** Who asked first, see `WaitingJob`. */
  requester: string;
  arrival: number;
  place: number | null;
  starred: boolean;
  createdAtMs: number;
  finishedAtMs: number | null;
  deletedAtMs: number | null;
  /** Saved by another version of the program with values that this one does not know: the job is shown, but never run, changed or deleted. */
  isForeign: boolean;
}

export type StoredJob = AnyStoredJob & JobWork;

export type NewJob = JobWork & Pick<AnyStoredJob, 'jobId' | 'checkpoint' | 'upscaler' | 'filename' | 'state' | 'requester' | 'arrival' | 'createdAtMs'>;

/** The columns that a `StoredJob` is read from. `SELECT *` would also compute generated columns, which fails where `params` is damaged. */
export const JOB_COLUMNS =
  'number, job_id, task_type, params, checkpoint_name, checkpoint_identity, upscaler_name, upscaler_identity, filename, state, owner, arrival, place, starred, ' +
  'created_at_ms, finished_at_ms, deleted_at_ms';

const rowSchema = z.object({
  number: z.number(),
  job_id: z.string(),
  task_type: z.string(),
  params: z.string(),
  checkpoint_name: z.string(),
  checkpoint_identity: z.string(),
  upscaler_name: z.string(),
  upscaler_identity: z.string(),
  filename: z.string(),
  state: z.string(),
  owner: z.string(),
  arrival: z.number(),
  place: z.number().nullable(),
  starred: z.number(),
  created_at_ms: z.number(),
  finished_at_ms: z.number().nullable(),
  deleted_at_ms: z.number().nullable(),
});

/** An additional parameter of a later version means another image, so it is not ignored. */
const knownWorkSchema = z.discriminatedUnion('taskType', [
  z.object({ taskType: z.literal('text_to_image'), params: z.strictObject(filledParamsSchema.shape) }),
  z.object({ taskType: z.literal('image_to_image'), params: z.strictObject(filledImageToImageParamsSchema.shape) }),
  z.object({ taskType: z.literal('inpaint'), params: z.strictObject(filledInpaintParamsSchema.shape) }),
  z.object({ taskType: z.literal('upscale'), params: z.strictObject(filledUpscaleParamsSchema.shape) }),
]);
const someParamsSchema = z
  .object({
    prompt: z.string().catch(''),
    width: z.int().catch(0),
    height: z.int().catch(0),
    steps: z.int().catch(0),
    guidance_scale: z.number().catch(0),
    seed: z.int().catch(0),
    model_type: modelTypeSchema.catch('uint4'),
  })
  .catch({ prompt: '', width: 0, height: 0, steps: 0, guidance_scale: 0, seed: 0, model_type: 'uint4' });

/** Never throws for what another version may have saved; see `isForeign`. */
export function parseJobRow(raw: unknown): StoredJob {
  const row = rowSchema.parse(raw);
  const work = knownWorkSchema.safeParse({ taskType: row.task_type, params: parseJson(row.params) });
  const state = jobStateSchema.safeParse(parseJson(row.state));
  return {
    number: row.number,
    jobId: row.job_id,
    ...(work.success ? work.data : { taskType: 'text_to_image', params: someParamsSchema.parse(parseJson(row.params)) }),
    checkpoint: modelName(row.checkpoint_name, row.checkpoint_identity),
    upscaler: modelName(row.upscaler_name, row.upscaler_identity),
    filename: row.filename,
    state: state.success ? state.data : unknownState(),
    requester: row.owner,
    arrival: row.arrival,
    place: row.place,
    starred: row.starred === 1,
    createdAtMs: row.created_at_ms,
    finishedAtMs: row.finished_at_ms,
    deletedAtMs: row.deleted_at_ms,
    isForeign: !work.success || !state.success,
  };
}

/** A job without such a model has empty columns. */
function modelName(name: string, identity: string): ModelName | null {
  return identity === '' ? null : { name, identity };
}

/** The state as stored; a state that this version does not know reads as `failed` with the reason. */
export function parseState(json: string): JobState {
  return jobStateSchema.safeParse(parseJson(json)).data ?? unknownState();
}

function unknownState(): JobState {
  return { status: 'failed', error: toWireError(appError('job_of_other_version', {})) };
}

/** Undefined where the text is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no schema accepts it, so the job counts as foreign
  }
}
