import { AppError } from '#shared/protocol/errors.ts';

/** @param file The damaged archive or library. @param what The predicate of the message: `is not a zip archive`. */
export function damagedPack(file: string, what: string, cause?: unknown): AppError<'cuda_pack_damaged'> {
  return new AppError('cuda_pack_damaged', `${file} ${what}. Remove the CUDA pack and install it again.`, { file }, { cause });
}
