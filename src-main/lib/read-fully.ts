import type { FileHandle } from 'node:fs/promises';

/** Node refuses reads of 2 GiB and more. */
const LONGEST_READ = 2 ** 30;

/** `length` bytes from `offset` on, in a buffer of their own (so that typed arrays can be laid over it); fewer only where the file ends before. */
export async function readFully(handle: FileHandle, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(LONGEST_READ, length - done), offset + done);
    if (bytesRead === 0) return bytes.slice(0, done);
    done += bytesRead;
  }
  return bytes;
}
