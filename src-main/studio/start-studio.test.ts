import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '#main/config/config.ts';
import { openDataFolder } from '#main/jobs/store/open-data-folder.ts';
import { createLog } from '#main/server/log.ts';
import { spawnFakeEngine } from '../../tests/fakes/fake-engine.ts';
import { type Studio, startStudio } from './start-studio.ts';

const log = createLog('silent');
let folder: string;
let dataDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'studio-'));
  dataDir = join(folder, 'data');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(...args: string[]): Promise<Studio> {
  const config = loadConfig(['--host', '127.0.0.1', '--port', '0', '--data-dir', dataDir, ...args], {});
  return startStudio({ config, spawn: spawnFakeEngine({}), log });
}

/** Names, sizes, times and contents of everything in the data folder. */
function snapshot(): string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { mtimeMs, size } = statSync(join(dataDir, name));
      return `${name} ${size} ${mtimeMs}`;
    });
}

test('a second start on one data folder is refused and writes nothing, not even over damaged files', async () => {
  const first = await start();
  // what a start would move aside, repair or rewrite
  for (const name of ['models.json', 'devices.json', 'settings.json']) writeFileSync(join(dataDir, name), 'damaged');
  const before = snapshot();
  await expect(start()).rejects.toMatchObject({ code: 'data_folder_in_use' });
  expect(snapshot()).toEqual(before);
  await first.close('now');
  (await openDataFolder(dataDir, log)).unlock();
});

test('two starts at once: one serves, the other is refused', async () => {
  const [one, other] = await Promise.allSettled([start(), start()]);
  const served = [one, other].flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(served).toHaveLength(1);
  expect([one, other].find((result) => result.status === 'rejected')).toMatchObject({ reason: { code: 'data_folder_in_use' } });
  await served[0]?.close('now');
});

test('a taken port: what was opened is closed, and the next start succeeds', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  await expect(start('--port', port)).rejects.toMatchObject({ code: 'port_taken' });
  other.close();
  const studio = await start('--port', port);
  expect(studio.port).toBe(Number(port));
  expect(JSON.parse(readFileSync(join(dataDir, 'server.json'), 'utf8'))).toMatchObject({ port: Number(port) });
  await studio.close('now');
  expect(readdirSync(dataDir)).not.toContain('server.json');
});

test('a database that cannot be opened: the folder is free again', async () => {
  mkdirSync(join(dataDir, 'jobs.db'), { recursive: true });
  await expect(start()).rejects.toThrow();
  (await openDataFolder(dataDir, log)).unlock();
});
