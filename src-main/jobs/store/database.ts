import { existsSync, renameSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { AppError } from '#shared/protocol/errors.ts';
import { closeFile, makePrivateFile } from './private-folder.ts';
import { openSqlite, type SqliteBinding, type SqliteDatabase, sqliteErrorCode, sqliteResult } from './sqlite.ts';

/** Each entry takes the schema one version further; entries are only ever added. `PRAGMA user_version` holds how many have run. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    task_type TEXT NOT NULL,
    params TEXT NOT NULL,
    search_text TEXT NOT NULL,
    model_type TEXT NOT NULL,
    checkpoint_name TEXT NOT NULL,
    checkpoint_identity TEXT NOT NULL,
    upscaler_name TEXT NOT NULL,
    upscaler_identity TEXT NOT NULL,
    filename TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    place INTEGER,
    starred INTEGER NOT NULL DEFAULT 0,
    created_at_ms REAL NOT NULL,
    finished_at_ms REAL,
    deleted_at_ms REAL
  ) STRICT;
  CREATE INDEX jobs_unfinished ON jobs (arrival) WHERE status IN ('pending', 'processing', 'generated');
  CREATE INDEX jobs_binned ON jobs (deleted_at_ms) WHERE deleted_at_ms IS NOT NULL;
  CREATE INDEX jobs_starred ON jobs (number) WHERE starred = 1;

  CREATE TABLE interests (
    client_id TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    request_id TEXT,
    stand TEXT NOT NULL,
    PRIMARY KEY (client_id, job_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX interests_of_job ON interests (job_id);

  CREATE TABLE clients (client_id TEXT PRIMARY KEY, reserved_seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE events (
    client_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (client_id, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE timings (
    checkpoint_identity TEXT NOT NULL,
    upscaler_identity TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    guided INTEGER NOT NULL,
    checkpoint_name TEXT NOT NULL,
    generate_ms REAL NOT NULL,
    upscale_ms REAL,
    write_ms REAL,
    pictures INTEGER NOT NULL,
    measured_at_ms REAL NOT NULL,
    PRIMARY KEY (checkpoint_identity, upscaler_identity, width, height, steps, guided)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE jobs ADD COLUMN width INTEGER GENERATED ALWAYS AS (params ->> 'width') VIRTUAL;
  ALTER TABLE jobs ADD COLUMN height INTEGER GENERATED ALWAYS AS (params ->> 'height') VIRTUAL;
  ALTER TABLE jobs ADD COLUMN size_bytes INTEGER;
  CREATE INDEX jobs_sizes ON jobs (width, height) WHERE deleted_at_ms IS NULL;
  CREATE INDEX jobs_kept ON jobs (starred, number, size_bytes) WHERE deleted_at_ms IS NULL;
  CREATE INDEX jobs_unmeasured ON jobs (number) WHERE size_bytes IS NULL AND finished_at_ms IS NOT NULL;

  ALTER TABLE clients ADD COLUMN first_seen_ms REAL;
  ALTER TABLE clients ADD COLUMN last_seen_ms REAL;
  ALTER TABLE clients ADD COLUMN seen_from TEXT;
  `,
];

export interface OpenedDatabase {
  database: SqliteDatabase;
  /** Where a damaged one was moved to; the new one is empty then. */
  movedAside: string | null;
}

/**
 * Opens `path` (created where absent) with WAL and synchronous FULL, so that a commit has reached the disk when it returns, and brings the schema up to
 * date; before each step of that the database is copied to `<path>.before-<version>`. Its owner alone can read the files. A damaged one is moved to `<path>.damaged-<time>`, never deleted.
 * Throws `database_newer` for a schema from a later version of the program.
 */
export async function openDatabase(path: string, nowMs: number, options: { binding?: SqliteBinding; steps?: readonly string[] } = {}): Promise<OpenedDatabase> {
  const open = () => prepare(path, options.steps ?? migrations, options.binding);
  try {
    return { database: await open(), movedAside: null };
  } catch (thrown) {
    const code = sqliteErrorCode(thrown);
    if (code !== sqliteResult.corrupt && code !== sqliteResult.notADatabase) throw thrown;
    const movedAside = moveAside(path, nowMs);
    return { database: await open(), movedAside };
  }
}

async function prepare(path: string, steps: readonly string[], binding?: SqliteBinding): Promise<SqliteDatabase> {
  // what SQLite puts beside the database gets its rights
  makePrivateFile(path);
  const database = await openSqlite(path, binding);
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
    assertSound(database);
    migrate(database, path, steps);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** SQLite reports some damage as an error and some as rows; both leave here as the error. */
function assertSound(database: SqliteDatabase): void {
  const { quick_check: verdict } = z.object({ quick_check: z.string() }).parse(database.prepare('PRAGMA quick_check(1)').get());
  if (verdict !== 'ok') throw Object.assign(new Error(`The database is damaged: ${verdict}`), { errcode: sqliteResult.corrupt });
}

function migrate(database: SqliteDatabase, path: string, steps: readonly string[]): void {
  const { user_version: found } = z.object({ user_version: z.number() }).parse(database.prepare('PRAGMA user_version').get());
  if (found > steps.length) {
    const message =
      `The database ${path} has schema version ${found}; this version of the program reads up to ${steps.length}. ` +
      'Start the newer version of the program, or give another --data-dir.';
    throw new AppError('database_newer', message, { found, supported: steps.length });
  }
  for (const [version, step] of [...steps.entries()].slice(found)) {
    if (found > 0) backUp(database, `${path}.before-${version + 1}`);
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(step);
      database.exec(`PRAGMA user_version = ${version + 1}`);
      database.exec('COMMIT');
    } catch (thrown) {
      database.exec('ROLLBACK');
      throw thrown;
    }
  }
}

/** A copy left by an earlier attempt at the same step is replaced: that step did not happen, so nothing was written in between. */
function backUp(database: SqliteDatabase, path: string): void {
  rmSync(path, { force: true });
  database.prepare('VACUUM INTO ?').run(path);
  closeFile(path);
}

function moveAside(path: string, nowMs: number): string {
  const target = `${path}.damaged-${nowMs}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
  }
  return target;
}
