import { mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import { errnoCode } from './errno-code.ts';
import { syncFile } from './sync-file.ts';
import { waitForLock } from './wait-for-lock.ts';

/**
 * Writes `bytes` to `path`, replacing what is there, and returns when they are on the disk (fsync). The name itself is durable only after `renameDurably`. `mode` applies to a new file.
 * Throws `AppError` `disk_full`, `folder_not_writable` or `disk_failed`; an incomplete file may be left, which the caller removes.
 */
export async function writeFileDurably(path: string, bytes: Uint8Array, mode = 0o666): Promise<void> {
  try {
    const file = await open(path, 'w', mode);
    try {
      await file.writeFile(bytes);
      await syncFile(file);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw await diskError(cause, path, bytes.byteLength);
  }
}

/** Renames a file atomically and durably: rename, then fsync of the folder. Both paths are on one file system. Throws as `writeFileDurably`. */
export async function renameDurably(from: string, to: string): Promise<void> {
  try {
    await waitForLock(() => rename(from, to));
    await syncFolder(dirname(to));
  } catch (cause) {
    throw await diskError(cause, to, 0);
  }
}

/** A result that could not be written to its place, written to `sparePath` instead. Returns the error to throw: the first one, with that path where this worked. */
export async function keptElsewhere(error: unknown, sparePath: string, write: (path: string) => Promise<void>): Promise<unknown> {
  if (!(error instanceof AppError)) return error;
  try {
    await mkdir(dirname(sparePath), { recursive: true });
    await write(sparePath);
  } catch {
    return error; // the spare place fails too; the first error says what to mend
  }
  return new AppError(error.code, `${error.message} The image was saved as ${sparePath}.`, error.data, { cause: error });
}

let drafts = 0;

/** Replaces the file `path` in one step: readers see the old bytes or the new ones. Several processes may do so at once. Throws as `writeFileDurably`; the old file is then unchanged. */
export async function replaceFile(path: string, bytes: Uint8Array, mode = 0o666): Promise<void> {
  const draft = `${path}.${process.pid}-${++drafts}.new`;
  try {
    await writeFileDurably(draft, bytes, mode);
    await renameDurably(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {}); // the error that matters is the one that is thrown
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no handle of a folder that could be synced; NTFS journals the rename itself
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r').catch((cause: unknown) => {
    // a folder that may be written but not read: the file is in place, only its name cannot be synced
    if (errnoCode(cause) === 'EACCES') return null;
    throw cause;
  });
  if (folder === null) return;
  try {
    await syncFile(folder);
  } finally {
    await folder.close();
  }
}

/** The `AppError` for a failed write: `disk_full`, `folder_not_writable` or `disk_failed`. */
export async function diskError(cause: unknown, path: string, neededBytes: number): Promise<AppError> {
  const code = errnoCode(cause);
  const folder = dirname(path);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    // the disk that refused a write has nothing left, whatever else it says
    const freeBytes = (await diskSpaceOf(folder).catch(() => null))?.freeBytes ?? 0;
    return new AppError(
      'disk_full',
      `The disk that holds ${folder} is full: ${neededBytes} bytes are needed, ${freeBytes} are free. Free some space and try again.`,
      { neededBytes, freeBytes },
      { cause },
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT' || code === 'ENOTDIR' || code === 'EEXIST') {
    return new AppError(
      'folder_not_writable',
      `The folder ${folder} cannot be written to (${code}). Create it, or give this user the right to write there.`,
      { folder },
      { cause },
    );
  }
  return new AppError('disk_failed', `Writing ${path} failed (${code}). Check the disk, then try again.`, {}, { cause });
}

/** Bytes that this user may still write to the disk that holds `folder`; `Infinity` if the file system does not report it. */
export async function freeBytesOf(folder: string): Promise<number> {
  return (await diskSpaceOf(folder))?.freeBytes ?? Number.POSITIVE_INFINITY;
}

/** Size of the disk that holds `folder` and what this user may still write; null if the file system does not report it: ramfs and some FUSE file systems answer 0 of 0. */
export async function diskSpaceOf(folder: string): Promise<{ freeBytes: number; totalBytes: number } | null> {
  const found = await statfs(folder).catch((cause: unknown) => {
    if (['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoCode(cause))) return null;
    throw cause;
  });
  return found === null || found.blocks === 0 ? null : { freeBytes: found.bavail * found.bsize, totalBytes: found.blocks * found.bsize };
}
