import { isBuiltin } from 'node:module';
import { AppError } from '#shared/protocol/errors.ts';

type Value = null | number | bigint | string | Uint8Array;

/** A prepared statement; parameters by position. Rows come back as objects with a null prototype, columns by name. */
export interface SqliteStatement {
  run(...values: Value[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
}

/** What we use of `DatabaseSync`, which `node:sqlite` and `@photostructure/sqlite` share. */
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export type SqliteBinding = 'node:sqlite' | '@photostructure/sqlite';

/** Node has SQLite built in from 22.5 on; the Electron that tests run in (Node 20) has not. */
export function availableBinding(): SqliteBinding {
  return isBuiltin('node:sqlite') ? 'node:sqlite' : '@photostructure/sqlite';
}

/** Opens or creates the file. Throws the binding's error; see `sqliteErrorCode`. */
export async function openSqlite(path: string, binding: SqliteBinding = availableBinding()): Promise<SqliteDatabase> {
  const { DatabaseSync } = binding === 'node:sqlite' ? await import('node:sqlite') : await import('@photostructure/sqlite');
  return new DatabaseSync(path);
}

/** Primary result codes that we decide by. Source: https://www.sqlite.org/rescode.html */
export const sqliteResult = { busy: 5, readOnly: 8, ioError: 10, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 } as const;

/** SQLite's primary result code of a thrown error, or null where it is none of SQLite's. */
export function sqliteErrorCode(thrown: unknown): number | null {
  if (!(thrown instanceof Error)) return null;
  return 'errcode' in thrown && typeof thrown.errcode === 'number' ? thrown.errcode & 0xff : null;
}

/** SQLite's error as `disk_full`, `disk_failed` or `database_damaged`; any other as it is. */
export function toDatabaseError(cause: unknown): unknown {
  switch (sqliteErrorCode(cause)) {
    case sqliteResult.full: {
      const message = 'The disk that holds the data folder is full; nothing was changed. Free some space and try again.';
      return new AppError('disk_full', message, { neededBytes: 0, freeBytes: 0 }, { cause });
    }
    case sqliteResult.ioError:
    case sqliteResult.readOnly:
    case sqliteResult.cannotOpen: {
      const said = cause instanceof Error ? cause.message : String(cause);
      const message = `The database in the data folder cannot be read or written (${said}); nothing was changed. Check the disk and this user's rights there, then try again.`;
      return new AppError('disk_failed', message, {}, { cause });
    }
    case sqliteResult.corrupt:
    case sqliteResult.notADatabase: {
      const message = 'The database in the data folder was damaged while the program ran. Start the program again: it moves the damaged one aside.';
      return new AppError('database_damaged', message, {}, { cause });
    }
    default:
      return cause;
  }
}
