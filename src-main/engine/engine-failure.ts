import { AppError, toWireError, type WireError } from '#shared/protocol/errors.ts';

/** What a task died of, ready for the channel: our own errors as they are, a full heap as `engine_out_of_memory`, anything foreign as `engine_failed`. */
export function toEngineFailure(thrown: unknown): WireError {
  if (thrown instanceof AppError) return toWireError(thrown);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  // V8 has no other mark for an ArrayBuffer that the system refuses
  if (thrown instanceof RangeError && reason.includes('allocation failed')) return { code: 'engine_out_of_memory', message: reason, data: {} };
  return { code: 'engine_failed', message: `The model could not be run: ${reason}`, data: {} };
}
