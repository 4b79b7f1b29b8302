import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { createLocalImageReader } from './read-local-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'local-image-'));
const allowed = join(folder, 'allowed');
mkdirSync(join(allowed, '.hidden'), { recursive: true });
for (const name of ['allowed/a.png', 'allowed/.hidden/a.png', 'outside.png']) writeFileSync(join(folder, name), name);
symlinkSync(join(folder, 'outside.png'), join(allowed, 'link.png'));
const read = createLocalImageReader([allowed, join(folder, 'missing')]);
afterAll(() => rmSync(folder, { recursive: true }));

test.each([join(allowed, 'a.png'), pathToFileURL(join(allowed, 'a.png')).href, join(allowed, '.hidden/../a.png')])('%s is read', async (path) => {
  expect(Buffer.from(await read(path)).toString()).toBe('allowed/a.png');
});

test.each([
  ['outside.png', 'bad_param'],
  ['allowed/../outside.png', 'bad_param'],
  ['allowed/link.png', 'bad_param'],
  ['allowed/.hidden/a.png', 'bad_param'],
  ['allowed', 'bad_param'],
  ['allowed/.hidden', 'bad_param'],
  ['allowed/none.png', 'unknown_image'],
])('%s is refused', async (path, code) => {
  await expect(read(join(folder, path))).rejects.toMatchObject({ code });
});
