import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../../tests/support/jobs-room.ts';

const rights = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** Every file of ours in the data folder. */
function fileRights(dataDir: string): string[] {
  const files = readdirSync(dataDir, { withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== 'theirs');
  expect(files.map(({ name }) => name)).toContain('jobs.db-wal');
  return [...new Set(files.map(({ name }) => rights(join(dataDir, name))))];
}

test.skipIf(process.platform === 'win32').each(['absent', 'empty'])(
  'a data folder that was %s is for its owner alone, and is closed again when it was opened',
  async (before) => {
    const room = createTestRoom();
    if (before === 'empty') mkdirSync(room.dataDir, { recursive: true, mode: 0o755 });
    const jobs = await room.open(new SteppedEngine());
    await new TestClient(jobs, 'a').create('x');
    expect([rights(room.dataDir), fileRights(room.dataDir)]).toEqual(['700', ['600']]);
    await jobs.close('park');
    chmodSync(room.dataDir, 0o755);
    writeFileSync(join(room.dataDir, 'jobs.db.damaged-1'), '');
    for (const name of readdirSync(room.dataDir)) chmodSync(join(room.dataDir, name), 0o644);
    await room.open(new SteppedEngine());
    expect([rights(room.dataDir), fileRights(room.dataDir)]).toEqual(['700', ['600']]);
  },
);

test.skipIf(process.platform === 'win32')("somebody else's folder stays as open as it was, our files in it are private", async () => {
  const room = createTestRoom();
  mkdirSync(room.dataDir, { recursive: true });
  chmodSync(room.dataDir, 0o755);
  writeFileSync(join(room.dataDir, 'theirs'), '');
  for (let start = 0; start < 2; start++) {
    const jobs = await room.open(new SteppedEngine());
    expect([rights(room.dataDir), fileRights(room.dataDir)]).toEqual(['755', ['600']]);
    await jobs.close('park');
  }
});

test.skipIf(process.platform !== 'linux').each(['/proc/x/y', '/proc'])('%s, where nothing can be written, is refused at once', async (dataDir) => {
  const room = createTestRoom();
  await expect(room.open(new SteppedEngine(), { dataDir })).rejects.toMatchObject({ code: 'folder_not_writable', data: { folder: dataDir } });
});
