import { isBuiltin } from 'node:module';
import { AppError, appError } from '#shared/protocol/errors.ts';

export type SqliteValue = null | number | bigint | string | Uint8Array;

/** How long a call waits for another program's lock. It blocks the event loop, so callers that can wait try again later (`UnitOfWork.commitSoon`). */
const BUSY_TIMEOUT_MS = 100;

/** A prepared statement; parameters by position. Rows come back as objects with a null prototype, columns by name. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
}

/** What we use of `DatabaseSync`, which `node:sqlite` and `@photostructure/sqlite` share. */
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export type SqliteBinding = 'node:sqlite' | '@photostructure/sqlite';

/** Node has SQLite built in since 22.5; the Electron that tests run in (Node 20) does not. */
export function availableBinding(): SqliteBinding {
  return isBuiltin('node:sqlite') ? 'node:sqlite' : '@photostructure/sqlite';
}

/** Opens or creates the file. Throws the binding's error; see `sqliteErrorCode`. */
export async function openSqlite(path: string, binding: SqliteBinding = availableBinding()): Promise<SqliteDatabase> {
  const { DatabaseSync } = binding === 'node:sqlite' ? await import('node:sqlite') : await import('@photostructure/sqlite');
  const database = new DatabaseSync(path);
  try {
    setBusyTimeout(database, BUSY_TIMEOUT_MS);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** Runs `work` with a longer wait for locks. For the start, while nothing else uses the thread. */
export function withPatience<T>(database: SqliteDatabase, work: () => T): T {
  setBusyTimeout(database, 10_000);
  try {
    return work();
  } finally {
    setBusyTimeout(database, BUSY_TIMEOUT_MS);
  }
}

function setBusyTimeout(database: SqliteDatabase, ms: number): void {
  database.exec(`PRAGMA busy_timeout = ${ms}`);
}

/** Primary result codes that we decide by. Source: https://www.sqlite.org/rescode.html */
export const sqliteResult = { busy: 5, locked: 6, readOnly: 8, ioError: 10, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 } as const;

/** SQLite's primary result code of a thrown error, or null for any other error. */
export function sqliteErrorCode(thrown: unknown): number | null {
  if (!(thrown instanceof Error)) return null;
  return 'errcode' in thrown && typeof thrown.errcode === 'number' ? thrown.errcode & 0xff : null;
}

/** SQLite's error as `disk_full`, `disk_failed`, `database_busy` or `database_damaged`; any other unchanged. */
export function toDatabaseError(cause: unknown): unknown {
  switch (sqliteErrorCode(cause)) {
    case sqliteResult.full: {
      const message = 'The disk that holds the data folder is full; nothing was changed. Free some space and try again.';
      return new AppError('disk_full', message, { neededBytes: 0, freeBytes: 0 }, { cause });
    }
    case sqliteResult.busy:
    case sqliteResult.locked:
      return appError('database_busy', {}, { cause });
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
