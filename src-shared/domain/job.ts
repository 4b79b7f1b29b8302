import { z } from 'zod';
import type { WireError } from '../protocol/errors.ts';

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

/** `filename` is the original picture; both are names inside the outputs folder. */
export interface JobResult {
  filename: string;
  upscaledFilename: string;
  setbacks?: string[];
}

/** A job's state owns the fields that only it has. `setbacks` tell what went otherwise than chosen: another device, another accuracy; absent where all went right. */
export type JobState =
  | { status: 'pending' }
  | { status: 'processing' }
  | { status: 'generated'; filename: string; setbacks?: string[] }
  | { status: 'completed'; result: JobResult }
  | { status: 'failed'; error: WireError; filename?: string }
  | { status: 'cancelled' };

export type JobStatusName = JobState['status'];

export type JobEvent =
  | { type: 'started' }
  | { type: 'generated'; filename: string; setbacks?: string[] }
  | { type: 'completed'; result: JobResult }
  | { type: 'failed'; error: WireError }
  | { type: 'cancelled' }
  /** A fresh request for a job that failed, was cancelled, or whose files are gone. */
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
