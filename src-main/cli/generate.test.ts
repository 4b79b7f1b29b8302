import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const entry = join(import.meta.dirname, 'main.ts');
const small = ['generate', '--prompt', 'a small house', '--width', '256', '--height', '256', '--steps', '1', '--no-upscale'];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'generate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function generate(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, ZIMAGE_DATA_DIR: join(folder, 'data'), ZIMAGE_PORT: 'not a port' };
  return spawnSync(process.execPath, [entry, ...small, ...args], { env, encoding: 'utf8' });
}

test('the folder of --out is created, the image gets its name there, and variables of the server do not matter', () => {
  const out = join(folder, 'new/folder/x.png');
  expect(generate('--out', out)).toMatchObject({ status: 0, stdout: `${out}\n` });
  expect(readdirSync(join(folder, 'new/folder'))).toEqual(['x.png']);
  expect(readdirSync(join(folder, 'data/unsaved'))).toEqual([]);
});

test.each([
  ['below a file', () => join(folder, 'a-file/x.png'), /a-file cannot be written to \(\w+\)/],
  ['a folder', () => folder, /is a folder. Name a file/],
])('%s: a place that cannot be written is refused before the work', (_, out, reason) => {
  writeFileSync(join(folder, 'a-file'), '');
  const { status, stdout, stderr } = generate('--out', out());
  expect([status, stdout]).toEqual([_ === 'a folder' ? 2 : 1, '']);
  expect(stderr).toMatch(reason);
  expect(stderr).not.toContain('encoding');
});

test('an image that cannot be written at the end is kept, and the error names where', async () => {
  const place = join(folder, 'vanishes');
  const out = join(place, 'x.png');
  const child = spawn(process.execPath, [entry, ...small, '--out', out, '--data-dir', join(folder, 'data')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (part) => {
    stderr += part;
    // the disk is gone, and a file is in the place of its folder
    if (!stderr.includes('encoding') || !existsSync(place) || readdirSync(folder).includes('gone')) return;
    rmSync(place, { recursive: true });
    writeFileSync(place, '');
    writeFileSync(join(folder, 'gone'), '');
  });
  const [status] = await once(child, 'close');
  expect(status).toBe(1);
  const kept = /The image is kept in (.+\.png)\.$/m.exec(stderr)?.[1] ?? 'nothing';
  expect(kept).toContain(join(folder, 'data/unsaved'));
  expect(existsSync(kept)).toBe(true);
});

test('a reader that goes away ends nothing', async () => {
  const out = join(folder, 'unwatched.png');
  const child = spawn(process.execPath, [entry, ...small, '--out', out, '--data-dir', join(folder, 'data')], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  child.stderr.destroy();
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(out)).toBe(true);
});
