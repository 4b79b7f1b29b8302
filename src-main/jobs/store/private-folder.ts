import { accessSync, chmodSync, closeSync, constants, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { makeFolder } from '#main/lib/make-folder.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** With everything that stands beside the database: what SQLite writes, copies before a migration, damaged ones. */
const ourFiles = /^(jobs\.db|instance\.lock|settings\.json|access-key)/;

/**
 * Creates the data folder where it is absent, for its owner alone, and closes our files in it to others. Returns whether the folder is empty and so will
 * hold nothing but ours: somebody else's folder (say /tmp) is used as it is and never closed. Throws `folder_not_writable`.
 */
export function makeDataFolder(dataDir: string): { isOurs: boolean } {
  try {
    makeFolder(dataDir, 0o700);
    accessSync(dataDir, constants.W_OK);
    const names = readdirSync(dataDir);
    for (const name of names.filter((name) => ourFiles.test(name))) closeFile(join(dataDir, name));
    return { isOurs: names.length === 0 };
  } catch (cause) {
    throw notUsable(dataDir, cause);
  }
}

/** Closes a folder of ours to everybody but its owner. */
export function closeFolder(dir: string): void {
  chmodSync(dir, 0o700);
}

/** Makes sure that the file is there, empty where it was not, and that its owner alone can read and write it. Throws `folder_not_writable`, `disk_full`. */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600));
    closeFile(path);
  } catch (cause) {
    throw notUsable(dirname(path), cause);
  }
}

/** Takes the rights of others from a file. */
export function closeFile(path: string): void {
  chmodSync(path, 0o600);
}

function notUsable(folder: string, cause: unknown): AppError {
  if (errnoCode(cause) === 'ENOSPC') {
    const message = `The disk that holds the data folder ${folder} is full. Free some space and start again.`;
    return new AppError('disk_full', message, { neededBytes: 0, freeBytes: 0 }, { cause });
  }
  const message = `The data folder ${folder} cannot be used (${errnoCode(cause)}). Give this user the right to write there, or choose another one with --data-dir.`;
  return new AppError('folder_not_writable', message, { folder }, { cause });
}
