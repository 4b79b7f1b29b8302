import { isBuiltin } from 'node:module';

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
export const sqliteResult = { busy: 5, readOnly: 8, corrupt: 11, full: 13, notADatabase: 26 } as const;

/** SQLite's primary result code of a thrown error, or null where it is none of SQLite's. */
export function sqliteErrorCode(thrown: unknown): number | null {
  if (!(thrown instanceof Error)) return null;
  return 'errcode' in thrown && typeof thrown.errcode === 'number' ? thrown.errcode & 0xff : null;
}
