import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { migrations, openDatabase } from './database.ts';
import { lockDataFolder } from './instance-lock.ts';
import { availableBinding, openSqlite, type SqliteBinding } from './sqlite.ts';

const bindings: SqliteBinding[] = ['@photostructure/sqlite', ...(availableBinding() === 'node:sqlite' ? ['node:sqlite' as const] : [])];

function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'zimage-database-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

describe.each(bindings)('over %s', (binding) => {
  test('commits survive a new connection, under WAL with synchronous FULL', async () => {
    const path = join(temporaryFolder(), 'jobs.db');
    const { database, movedAside } = await openDatabase(path, 0, { binding });
    expect(movedAside).toBeNull();
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    database.prepare('INSERT INTO settings (name, value) VALUES (?, ?)').run('paused', 'ünï ✓');
    database.close();
    const again = await openDatabase(path, 0, { binding });
    expect(again.database.prepare('SELECT value FROM settings WHERE name = ?').get('paused')).toEqual({ value: 'ünï ✓' });
    expect(again.database.prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length });
    again.database.close();
  });

  test('a migration runs once, after a backup of what was there', async () => {
    const path = join(temporaryFolder(), 'jobs.db');
    const first = 'CREATE TABLE t (x TEXT); INSERT INTO t VALUES (1)';
    (await openDatabase(path, 0, { binding, steps: [first] })).database.close();
    expect(existsSync(`${path}.before-2`)).toBe(false);
    const second = 'ALTER TABLE t ADD COLUMN y; UPDATE t SET y = x + 1';
    for (let time = 0; time < 2; time++) {
      const { database } = await openDatabase(path, 0, { binding, steps: [first, second] });
      expect(database.prepare('SELECT * FROM t').all()).toEqual([{ x: '1', y: 2 }]);
      database.close();
    }
    const backup = await openSqlite(`${path}.before-2`, binding);
    expect(backup.prepare('SELECT * FROM t').all()).toEqual([{ x: '1' }]);
    backup.close();
  });

  test('a migration that fails leaves the version before', async () => {
    const path = join(temporaryFolder(), 'jobs.db');
    const steps = ['CREATE TABLE t (x)', 'CREATE TABLE u (x); INSERT INTO nowhere VALUES (1)'];
    await expect(openDatabase(path, 0, { binding, steps })).rejects.toThrow(/nowhere/);
    const { database } = await openDatabase(path, 0, { binding, steps: steps.slice(0, 1) });
    expect(database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()).toEqual([{ name: 't' }]);
    database.close();
  });

  test('a newer schema is refused and not touched', async () => {
    const path = join(temporaryFolder(), 'jobs.db');
    (await openDatabase(path, 0, { binding, steps: ['CREATE TABLE a (x)', 'CREATE TABLE b (x)', 'CREATE TABLE c (x)'] })).database.close();
    const before = readFileSync(path);
    const refused = expect(openDatabase(path, 0, { binding, steps: ['CREATE TABLE a (x)'] })).rejects;
    await refused.toMatchObject({ code: 'database_newer', data: { found: 3, supported: 1 } });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each([
    ['no database at all', (sound: Buffer) => Buffer.alloc(sound.length, 'garbage ')],
    ['a damaged page', (sound: Buffer) => Buffer.concat([sound.subarray(0, 4096), Buffer.alloc(sound.length - 4096, 0xa5)])],
    ['a cut file', (sound: Buffer) => sound.subarray(0, 5000)],
  ])('%s is moved aside, never deleted, and a new one begun', async (_, damage) => {
    const dir = temporaryFolder();
    const path = join(dir, 'jobs.db');
    (await openDatabase(path, 0, { binding })).database.close();
    const damaged = damage(readFileSync(path));
    writeFileSync(path, damaged);
    const { database, movedAside } = await openDatabase(path, 123, { binding });
    expect(movedAside).toBe(`${path}.damaged-123`);
    expect(readFileSync(`${path}.damaged-123`).equals(damaged)).toBe(true);
    expect(database.prepare('SELECT count(*) AS jobs FROM jobs').get()).toEqual({ jobs: 0 });
    database.close();
    expect(readdirSync(dir)).toContain('jobs.db');
  });

  test('a data folder is held by one instance', async () => {
    const dir = temporaryFolder();
    const unlock = await lockDataFolder(dir, binding);
    await expect(lockDataFolder(dir, binding)).rejects.toMatchObject({ code: 'data_folder_in_use', data: { folder: dir } });
    unlock();
    (await lockDataFolder(dir, binding))();
  });

  test('kill -9 of the holder lets the next one in', async () => {
    const dir = temporaryFolder();
    const module = resolve(import.meta.dirname, 'instance-lock.ts');
    const script = `import(${JSON.stringify(module)}).then(({ lockDataFolder }) => lockDataFolder(${JSON.stringify(dir)}, ${JSON.stringify(binding)})).then(() => { console.log('held'); setInterval(() => {}, 1000); })`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((held) => holder.stdout.once('data', held));
    await expect(lockDataFolder(dir, binding)).rejects.toMatchObject({ code: 'data_folder_in_use' });
    const gone = new Promise((exited) => holder.once('exit', exited));
    holder.kill('SIGKILL');
    await gone;
    (await lockDataFolder(dir, binding))();
  });
});
