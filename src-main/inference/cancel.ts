import { appError } from '#shared/protocol/errors.ts';

/** Read between steps and tiles, and every few milliseconds of a run that can be stopped; may be set from another thread. */
export interface CancelSignal {
  readonly cancelled: boolean;
}

/** Throws `cancelled` once the signal is set. */
export function assertNotCancelled(signal: CancelSignal): void {
  if (signal.cancelled) throw appError('cancelled', {});
}
