import { z } from 'zod';
import { type WireError, wireErrorSchema } from '../protocol/errors.ts';

export const modelTypeSchema = z.enum(['uint4', 'int8']);
export type ModelType = z.infer<typeof modelTypeSchema>;

/** What a text-to-image job is made from, defaults filled in; ranges are checked once, at the front door (`docs/protocol.md`). */
export const filledParamsSchema = z.object({
  prompt: z.string(),
  width: z.number().int(),
  height: z.number().int(),
  /** In the original's count: N steps are max(1, N - 1) forwards of the transformer. */
  steps: z.number().int(),
  guidance_scale: z.number(),
  seed: z.number().int(),
  model_type: modelTypeSchema,
});
export type TextToImageParams = z.infer<typeof filledParamsSchema>;

/** One sentence for each fallback to another device or accuracy. */
const setbacksSchema = z.array(z.string()).exactOptional();

/** Names inside the outputs folder; `filename` is the original image. */
const storedResultSchema = z.object({ filename: z.string(), upscaledFilename: z.string(), setbacks: setbacksSchema });
export type JobResult = z.infer<typeof storedResultSchema>;

/** A job's state, with the fields that only this state has. */
export const jobStateSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('pending') }),
  z.object({ status: z.literal('processing') }),
  z.object({ status: z.literal('generated'), filename: z.string(), setbacks: setbacksSchema }),
  z.object({ status: z.literal('completed'), result: storedResultSchema }),
  z.object({ status: z.literal('failed'), error: wireErrorSchema, filename: z.string().exactOptional() }),
  z.object({ status: z.literal('cancelled') }),
]);
export type JobState = z.infer<typeof jobStateSchema>;

export type JobStatusName = JobState['status'];

export type JobEvent =
  | { type: 'started' }
  | { type: 'generated'; filename: string; setbacks?: string[] }
  | { type: 'completed'; result: JobResult }
  | { type: 'failed'; error: WireError }
  | { type: 'cancelled' }
  /** A new request for a job that failed, was cancelled, or whose files are missing. */
  | { type: 'requested_again' };

/** The state after `event`, or null where the contract does not allow that step (the caller then changes nothing). */
export function transition(state: JobState, event: JobEvent): JobState | null {
  switch (event.type) {
    case 'started':
      return state.status === 'pending' ? { status: 'processing' } : null;
    case 'generated':
      return state.status === 'processing' ? { status: 'generated', filename: event.filename, ...withSetbacks(event.setbacks) } : null;
    case 'completed':
      if (state.status !== 'generated') return null;
      return { status: 'completed', result: { ...event.result, ...withSetbacks([...(state.setbacks ?? []), ...(event.result.setbacks ?? [])]) } };
    case 'failed':
      if (state.status === 'generated') return { status: 'failed', error: event.error, filename: state.filename };
      return state.status === 'pending' || state.status === 'processing' ? { status: 'failed', error: event.error } : null;
    case 'cancelled':
      return state.status === 'pending' || state.status === 'processing' ? { status: 'cancelled' } : null;
    case 'requested_again':
      return isEnd(state) ? { status: 'pending' } : null;
  }
}

/** Each once. */
function withSetbacks(setbacks: string[] = []): { setbacks?: string[] } {
  return setbacks.length === 0 ? {} : { setbacks: [...new Set(setbacks)] };
}

/** True for completed, failed and cancelled. */
export function isEnd(state: JobState): boolean {
  return state.status === 'completed' || state.status === 'failed' || state.status === 'cancelled';
}
