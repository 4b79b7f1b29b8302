import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '#main/server/log.ts';
import { writeServerAddress } from '#main/server/server-address.ts';
import { startStudioServer } from '../../tests/doubles/studio-server.ts';
import { attachStudio } from './attach-studio.ts';

test('an image is found in the present folder and in every earlier one, and nowhere else', async () => {
  const server = await startStudioServer();
  onTestFinished(() => server.close());
  const elsewhere = realpathSync(mkdtempSync(join(tmpdir(), 'attach-')));
  onTestFinished(() => rmSync(elsewhere, { recursive: true }));
  writeServerAddress(server.dataDir, { host: '127.0.0.1', port: server.port, pid: process.pid });
  const [present, earlier] = ['present', 'earlier'].map((name) => join(elsewhere, name));
  for (const folder of [present, earlier]) mkdirSync(String(folder));
  writeFileSync(join(String(present), 'new.png'), '');
  writeFileSync(join(String(earlier), 'old.png'), '');
  writeFileSync(join(elsewhere, 'secret.png'), '');
  await server.jobs.changeSettings({ outputs_folder: present });
  writeFileSync(join(server.dataDir, 'settings.json'), JSON.stringify({ outputs_folder: present, earlier_outputs_folders: [earlier] }));

  const studio = await attachStudio(server.dataDir, createLog('silent'));
  if (studio === null) throw new Error('no server was found');
  onTestFinished(() => studio.close());
  const found = await Promise.all(['new.png', 'old.png', 'none.png', '../secret.png'].map((name) => studio.imageFile(name)));
  expect(found).toEqual([join(String(present), 'new.png'), join(String(earlier), 'old.png'), null, null]);
});
