import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';

/** An unprivileged user, for tests that run as root, who may read everything. */
const UNPRIVILEGED = 65_534;
const isRoot = process.getuid?.() === 0;
let folder: string;
let dataDir: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'models-'));
  chmodSync(folder, 0o755);
  dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  if (isRoot) chownSync(dataDir, UNPRIVILEGED, UNPRIVILEGED);
});
afterAll(() => {
  chmodSync(join(folder, 'checkpoint'), 0o755);
  rmSync(folder, { recursive: true, force: true });
});

function models(...args: string[]): { status: number | null; stderr: string } {
  const user = isRoot ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
  const env = { ...process.env, HOME: dataDir, HF_HUB_CACHE: join(dataDir, 'hub') };
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'local-models', ...args, '--data-dir', dataDir], {
    ...user,
    env,
    encoding: 'utf8',
  });
  return { status, stderr: stderr.trim() };
}

test.skipIf(process.platform === 'win32')('a folder without rights is reported as such, with what to do', (context) => {
  context.skip(models('list').status !== 0, 'an unprivileged user may not read this clone, and root may read everything');
  const checkpoint = join(folder, 'checkpoint');
  cpSync(join(resourcesDir, 'models/storybook-uint4'), checkpoint, { recursive: true });
  chmodSync(join(checkpoint, 'vae'), 0);
  expect(models('add', checkpoint)).toEqual({ status: 1, stderr: expect.stringMatching(/vae cannot be read \(EACCES\).*needs the right to read/) });
  chmodSync(join(checkpoint, 'vae'), 0o755);
  chmodSync(checkpoint, 0);
  expect(models('add', checkpoint)).toEqual({ status: 1, stderr: expect.stringMatching(/checkpoint cannot be read \(EACCES\).*needs the right to read/) });
  chmodSync(checkpoint, 0o755);
  expect(models('add', checkpoint)).toMatchObject({ status: 0 });
});
