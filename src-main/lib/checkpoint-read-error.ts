import { AppError } from '#shared/protocol/errors.ts';
import { errnoCode } from './errno-code.ts';

/**
 * The `AppError` for a failed read of a checkpoint's file or folder: `checkpoint_missing`, or `too_many_open_files`, which says nothing about the checkpoint.
 * @param advice A sentence for `checkpoint_missing`.
 */
export function checkpointReadError(cause: unknown, path: string, advice: string): AppError {
  const code = errnoCode(cause);
  if (isOutOfDescriptors(cause)) {
    const message = `${path} cannot be opened now, because too many files and connections are open (${code}). Try again, or raise the limit with "ulimit -n".`;
    return new AppError('too_many_open_files', message, {}, { cause });
  }
  return new AppError('checkpoint_missing', `${path} cannot be read (${code}). ${advice}`, { path }, { cause });
}

export function isOutOfDescriptors(cause: unknown): boolean {
  return ['EMFILE', 'ENFILE'].includes(errnoCode(cause));
}
