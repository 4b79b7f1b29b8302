import { type FileHandle, open, realpath } from 'node:fs/promises';
import { errnoCode } from '#main/lib/errno-code.ts';
import { readFully } from '#main/lib/read-fully.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { parseHeader, type SafetensorsHeader } from './header.ts';

const LENGTH_BYTES = 8;
/** The reference implementation's limit. */
const MAX_HEADER_BYTES = 100_000_000;

export interface SafetensorsFile extends SafetensorsHeader {
  /** Real path, symbolic links resolved. */
  file: string;
  sizeBytes: number;
}

/**
 * Reads and checks the header of a safetensors file; no tensor is read.
 * Throws `checkpoint_missing` where the file cannot be opened, `checkpoint_damaged` and `checkpoint_unsupported` as `parseHeader` does.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  let file: string;
  let handle: FileHandle;
  try {
    file = await realpath(path);
    handle = await open(file, 'r');
  } catch (cause) {
    throw new AppError('checkpoint_missing', `${path} cannot be opened (${errnoCode(cause)}); it must be a readable safetensors file.`, { path }, { cause });
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw damaged(path, 'this is no regular file');
    return { file, sizeBytes: stat.size, ...(await readHeader(handle, path, file, stat.size)) };
  } finally {
    await handle.close();
  }
}

async function readHeader(handle: FileHandle, path: string, file: string, sizeBytes: number): Promise<SafetensorsHeader> {
  if (sizeBytes < LENGTH_BYTES) throw damaged(path, `the file has ${sizeBytes} bytes; a safetensors file has at least ${LENGTH_BYTES}`);
  const start = await read(handle, path, 0, LENGTH_BYTES);
  if (new TextDecoder('latin1').decode(start) === 'version ')
    throw damaged(path, 'this is the pointer that Git LFS leaves in place of a file; fetch the file itself');

  const announced = new DataView(start.buffer).getBigUint64(0, true);
  const room = Math.min(MAX_HEADER_BYTES, sizeBytes - LENGTH_BYTES);
  if (announced < 2n || announced > BigInt(room))
    throw damaged(path, `its first 8 bytes announce a header of ${announced} bytes; in this file of ${sizeBytes} bytes 2 to ${room} are possible`);

  const length = Number(announced);
  const dataOffset = LENGTH_BYTES + length;
  return parseHeader(await read(handle, path, LENGTH_BYTES, length), { path, file, dataOffset, dataLength: sizeBytes - dataOffset });
}

async function read(handle: FileHandle, path: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFully(handle, offset, length);
  if (bytes.length !== length) throw damaged(path, `the file ended after ${offset + bytes.length} bytes while it was read; ${offset + length} were expected`);
  return bytes;
}

function damaged(path: string, what: string): AppError<'checkpoint_damaged'> {
  return new AppError('checkpoint_damaged', `${path}: ${what}.`, { path });
}
