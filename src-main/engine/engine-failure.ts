import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError, toWireError, type WireError } from '#shared/protocol/errors.ts';

/** Why a task failed, as it crosses the border: our own errors as they are, limits of the machine by their names, anything else as `engine_failed`. */
export function toEngineFailure(thrown: unknown): WireError {
  if (thrown instanceof AppError) return toWireError(thrown);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const errno = errnoCode(thrown);
  // V8 has no other mark for an ArrayBuffer that the system refuses
  const isMemory = errno === 'ENOMEM' || (thrown instanceof RangeError && reason.includes('allocation failed'));
  if (isMemory) return { code: 'engine_out_of_memory', message: reason, data: {} };
  if (errno === 'EMFILE' || errno === 'ENFILE') {
    const message = `The model could not be run: no file descriptors are left (${errno}). Raise the limit (ulimit -n), or close other programs.`;
    return { code: 'engine_unavailable', message, data: {} };
  }
  return { code: 'engine_failed', message: `The model could not be run: ${reason}`, data: { reason } };
}
