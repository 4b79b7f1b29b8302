import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Images } from '#main/images/images.ts';
import { createThumbnails } from './thumbnails.ts';

let folder: string;
let image: string;
let made: number;
const webp = Buffer.from('RIFF\x08\0\0\0WEBPdata', 'latin1');
const images: Images = {
  thumbnail: async () => {
    made++;
    return webp;
  },
  import: async () => Promise.reject(new Error('not asked for')),
  repaints: async () => Promise.reject(new Error('not asked for')),
  decode: async () => Promise.reject(new Error('not asked for')),
  encode: async () => Promise.reject(new Error('not asked for')),
  export: async () => Promise.reject(new Error('not asked for')),
  inspect: async () => Promise.reject(new Error('not asked for')),
  compare: async () => Promise.reject(new Error('not asked for')),
  close: async () => {},
};
let warnings: string[];
const log = { warn: (_fields: unknown, text?: string) => void warnings.push(String(text)) };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thumbnails-'));
  image = join(folder, '20260101-a-cat-12345678.png');
  writeFileSync(image, 'pixels');
  made = 0;
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a thumbnail is made once, also for requests at the same time, and again for another width or a new image of the same name', async () => {
  const thumbnails = createThumbnails(folder, images, () => true, log);
  const [first, second] = await Promise.all([thumbnails.file(image, 256), thumbnails.file(image, 256)]);
  expect([first === second, readFileSync(first).equals(webp), made]).toEqual([true, true, 1]);
  await thumbnails.file(image, 256);
  expect(made).toBe(1);
  await thumbnails.file(image, 64);
  utimesSync(image, 1, 1);
  await thumbnails.file(image, 64);
  expect(made).toBe(3);
});

test.each([0, 12, 15])('a thumbnail of which a power failure left %i bytes is made again', async (bytes) => {
  const thumbnails = createThumbnails(folder, images, () => true, log);
  const path = await thumbnails.file(image, 256);
  truncateSync(path, bytes);
  expect(await thumbnails.file(image, 256)).toBe(path);
  expect([made, readFileSync(path).equals(webp)]).toEqual([2, true]);
});

test('where the file cannot be written the image itself is sent, with a warning', async () => {
  writeFileSync(join(folder, 'thumbnails'), 'a file in the place of the folder');
  const thumbnails = createThumbnails(folder, images, () => true, log);
  expect(await thumbnails.file(image, 256)).toBe(image);
  expect(warnings.some((text) => text.includes('the image itself is sent'))).toBe(true);
});

test('thumbnails of deleted images go, others stay, and names without any do no harm', async () => {
  const thumbnails = createThumbnails(folder, images, () => true, log);
  const other = join(folder, 'other.png');
  writeFileSync(other, 'pixels');
  const [gone, kept] = [await thumbnails.file(image, 256), await thumbnails.file(other, 256)];
  await thumbnails.forget(['20260101-a-cat-12345678.png', 'never-seen.png', 'neither.png']);
  expect([existsSync(gone), existsSync(kept)]).toEqual([false, true]);
});

test('files of an older version are removed', async () => {
  mkdirSync(join(folder, 'thumbnails'));
  writeFileSync(join(folder, 'thumbnails', `${'ab'.repeat(32)}-1-2-256.jpg`), '');
  createThumbnails(folder, images, () => true, log);
  await expect.poll(() => readdirSync(join(folder, 'thumbnails'))).toEqual([]);
});
