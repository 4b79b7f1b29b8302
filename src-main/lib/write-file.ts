import { open, rename, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import { errnoCode } from './errno-code.ts';

/**
 * Writes `bytes` to `path`, replacing what is there, and returns when they are on the disk (fsync). The name itself is durable only after `renameDurably`. `mode` is that of a new file.
 * Throws `AppError` `disk_full`, `folder_not_writable` or `disk_failed`; a part of the file may then be left, which the caller removes.
 */
export async function writeFileDurably(path: string, bytes: Uint8Array, mode = 0o666): Promise<void> {
  try {
    const file = await open(path, 'w', mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw await diskError(cause, path, bytes.byteLength);
  }
}

/** Gives a file its final name, in one step and for good: rename, then fsync of the folder. Both paths lie on one file system. Throws as `writeFileDurably`. */
export async function renameDurably(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
    // Windows has no handle on a folder that could be synced; NTFS journals the rename itself
    if (process.platform === 'win32') return;
    const folder = await open(dirname(to), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    throw await diskError(cause, to, 0);
  }
}

/** What a failed write means for people: `disk_full`, `folder_not_writable` or `disk_failed`. */
export async function diskError(cause: unknown, path: string, neededBytes: number): Promise<AppError> {
  const code = errnoCode(cause);
  const folder = dirname(path);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const freeBytes = await freeBytesOf(folder);
    return new AppError(
      'disk_full',
      `The disk that holds ${folder} is full: ${neededBytes} bytes are needed, ${freeBytes} are free. Free some space and try again.`,
      { neededBytes, freeBytes },
      { cause },
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT' || code === 'ENOTDIR') {
    return new AppError(
      'folder_not_writable',
      `The folder ${folder} cannot be written to (${code}). Create it, or give this user the right to write there.`,
      { folder },
      { cause },
    );
  }
  return new AppError('disk_failed', `Writing ${path} failed (${code}). Check the disk, then try again.`, {}, { cause });
}

/** What is left to us on the disk that holds `folder`. */
export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
