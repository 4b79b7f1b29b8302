import { accessSync, chmodSync, closeSync, constants, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { makeFolder } from '#main/lib/make-folder.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** With everything beside the database: files of SQLite, copies from before a migration, damaged databases. */
const ourFiles = /^(jobs\.db|instance\.lock|settings\.json|access-key)/;

interface Log {
  warn(fields: Record<string, unknown>, text: string): void;
}

/**
 * Creates the data folder where it is missing, for its owner alone, and makes our files in it private. Returns whether the folder is empty and so will
 * hold nothing but ours; the rights of another folder (such as /tmp) are never changed. Throws `folder_not_writable`.
 */
export function makeDataFolder(dataDir: string, log: Log): { isOurs: boolean } {
  try {
    makeFolder(dataDir, 0o700);
    accessSync(dataDir, constants.W_OK);
    const names = readdirSync(dataDir);
    const open = names.filter((name) => ourFiles.test(name)).filter((name) => !closeFile(join(dataDir, name)));
    if (open.length > 0) warn(log, dataDir, open);
    return { isOurs: names.length === 0 };
  } catch (cause) {
    throw notUsable(dataDir, cause);
  }
}

/** Makes a folder of ours private. */
export function closeFolder(dir: string, log: Log): void {
  if (!tryToClose(dir, 0o700)) warn(log, dir, []);
}

/** Makes sure that the file is there, empty where it was missing, and private if possible. Throws `folder_not_writable`, `disk_full`. */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600));
    closeFile(path);
  } catch (cause) {
    throw notUsable(dirname(path), cause);
  }
}

/** Makes a file private. False where this user does not own it, or the file system does not support it. */
export function closeFile(path: string): boolean {
  return tryToClose(path, 0o600);
}

/** Privacy is desirable, but the folder can be used without it: one on a volume of a group, or on a file system without rights. */
function tryToClose(path: string, mode: number): boolean {
  try {
    chmodSync(path, mode);
    return true;
  } catch (cause) {
    // a file that went away meanwhile (SQLite's) needs no rights
    if (errnoCode(cause) === 'ENOENT') return true;
    return false;
  }
}

function warn(log: Log, folder: string, files: string[]): void {
  const text =
    'The rights in the data folder could not be restricted; other users of this machine may be able to read it. Use a folder of your own to prevent that.';
  log.warn({ folder, files }, text);
}

function notUsable(folder: string, cause: unknown): AppError {
  if (errnoCode(cause) === 'ENOSPC') {
    const message = `The disk that holds the data folder ${folder} is full. Free some space and start again.`;
    return new AppError('disk_full', message, { neededBytes: 0, freeBytes: 0 }, { cause });
  }
  const message = `The data folder ${folder} cannot be used (${errnoCode(cause)}). Give this user write access to it and its files, or choose another one with --data-dir.`;
  return new AppError('folder_not_writable', message, { folder }, { cause });
}
