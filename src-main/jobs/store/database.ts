import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { z } from 'zod';
import { AppError } from '#shared/protocol/errors.ts';
import { closeFile, makePrivateFile } from './private-folder.ts';
import { openSqlite, type SqliteBinding, type SqliteDatabase, sqliteErrorCode, sqliteResult, withPatience } from './sqlite.ts';

/** Each entry raises the schema by one version; entries are only ever added. `PRAGMA user_version` holds how many have run. */
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
  `
  ALTER TABLE jobs ADD COLUMN kept_order INTEGER;
  ALTER TABLE jobs ADD COLUMN binned_age_ms REAL;
  UPDATE jobs SET kept_order = number WHERE finished_at_ms IS NOT NULL;
  UPDATE jobs SET binned_age_ms = 0 WHERE deleted_at_ms IS NOT NULL;
  CREATE INDEX jobs_kept_order ON jobs (kept_order);
  DROP INDEX jobs_kept;
  CREATE INDEX jobs_kept ON jobs (starred, kept_order, size_bytes) WHERE deleted_at_ms IS NULL;
  DROP INDEX jobs_binned;
  CREATE INDEX jobs_binned ON jobs (binned_age_ms) WHERE deleted_at_ms IS NOT NULL;

  ALTER TABLE events ADD COLUMN job_id TEXT;
  UPDATE events SET job_id = message ->> 'job_id' WHERE json_valid(message);
  CREATE INDEX events_of_job ON events (job_id);

  INSERT OR IGNORE INTO settings (name, value) SELECT 'indexed', 'true' WHERE EXISTS (SELECT 1 FROM jobs);
  `,
  `
  CREATE TABLE pixels (
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (job_id, role)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX pixels_by_hash ON pixels (sha256);
  `,
  `
  CREATE TABLE labels (
    kind TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    PRIMARY KEY (kind, name, job_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX labels_of_job ON labels (job_id);
  `,
];

export interface OpenedDatabase {
  database: SqliteDatabase;
  /** Where a damaged one was moved to; the database is empty then. */
  movedAside: string | null;
}

/**
 * Opens or creates `path`, private to its owner, and brings the schema up to date; before each step it is copied to `<path>.before-<version>`.
 * A commit is on the disk when it returns (WAL, synchronous FULL), and deleted rows are overwritten. A damaged database is moved to `<path>.damaged-<time>`.
 * Throws `database_newer` for a schema of a later version of the program, `database_busy` when another program keeps it locked.
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
  // the files that SQLite creates beside it get the same rights
  makePrivateFile(path);
  const database = await openSqlite(path, binding);
  try {
    withPatience(database, () => {
      // a new database takes this only before anything else is written, and an old one would write its header for it
      if (statSync(path).size === 0) database.exec('PRAGMA auto_vacuum = INCREMENTAL');
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON');
      assertSound(database);
      migrate(database, path, steps);
    });
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** SQLite reports some damage as an error and some as rows; both are thrown. */
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
  const pending = [...steps.entries()].slice(found);
  for (const [version, step] of pending) {
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
  // an older file gets auto_vacuum this way, and loses what was deleted in it before
  if (found > 0 && pending.length > 0) database.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM');
}

/** Replaces the copy of an earlier attempt at the same step: that step did not happen, so nothing was written in between. */
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
