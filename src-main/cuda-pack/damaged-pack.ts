import { AppError } from '#shared/protocol/errors.ts';

/** @param file The archive or library that is not as it should be. @param what Said of it: `is no zip archive`. */
export function damagedPack(file: string, what: string, cause?: unknown): AppError<'cuda_pack_damaged'> {
  return new AppError('cuda_pack_damaged', `${file} ${what}. Remove the CUDA pack and install it again.`, { file }, { cause });
}
