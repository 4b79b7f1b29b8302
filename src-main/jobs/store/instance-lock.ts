import { join } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import { makePrivateFile } from './private-folder.ts';
import { openSqlite, type SqliteBinding, type SqliteDatabase, sqliteErrorCode, sqliteResult, toDatabaseError } from './sqlite.ts';

/**
 * Keeps a second instance out of `dataDir` until the returned function is called or this process ends, however it ends.
 * An open exclusive transaction on a small database of its own is the lock: SQLite takes a lock of the operating system on the file (fcntl, LockFileEx),
 * which the kernel drops with the process, kill -9 and power loss included, so that no stale lock can be left.
 * Throws `data_folder_in_use`, and `folder_not_writable`, `disk_full` or `disk_failed` where there can be no such file.
 */
export async function lockDataFolder(dataDir: string, binding?: SqliteBinding): Promise<() => void> {
  const path = join(dataDir, 'instance.lock');
  makePrivateFile(path);
  let database: SqliteDatabase | null = null;
  try {
    database = await openSqlite(path, binding);
    database.exec('BEGIN EXCLUSIVE');
    return () => database?.close();
  } catch (cause) {
    database?.close();
    if (sqliteErrorCode(cause) !== sqliteResult.busy) throw toDatabaseError(cause);
    const message = `The data folder ${dataDir} is in use by another running instance. Stop that one, or start this one with another --data-dir.`;
    throw new AppError('data_folder_in_use', message, { folder: dataDir }, { cause });
  }
}
