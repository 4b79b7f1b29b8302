import { open } from 'node:fs/promises';
import { errnoCode } from '#main/lib/errno-code.ts';
import { readFully } from '#main/lib/read-fully.ts';
import { float32From, isFloatType } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StoredTensor } from './header.ts';

/** The tensor's bytes as stored, in a buffer of their own. Throws `checkpoint_missing` or, where the file has become too short, `checkpoint_damaged`. */
export async function readTensor(tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>> {
  const { file: path, name, offset, byteLength } = tensor;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    const handle = await open(path, 'r');
    try {
      bytes = await readFully(handle, offset, byteLength);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new AppError('checkpoint_missing', `${path}: tensor "${name}" cannot be read (${errnoCode(cause)}).`, { path }, { cause });
  }
  if (bytes.length === byteLength) return bytes;
  throw new AppError('checkpoint_damaged', `${path}: tensor "${name}" has ${bytes.length} of its ${byteLength} bytes; the file was cut after it was opened.`, {
    path,
  });
}

/** The tensor's values as float32, in its own row-major order. Types: F32, F16, BF16; another is `checkpoint_unsupported`. */
export async function readFloats(tensor: StoredTensor): Promise<Float32Array> {
  const { file: path, name, dtype } = tensor;
  if (isFloatType(dtype)) return float32From(dtype, await readTensor(tensor));
  throw new AppError('checkpoint_unsupported', `${path}: tensor "${name}" is ${dtype}; F32, F16 or BF16 is needed there.`, { path });
}
