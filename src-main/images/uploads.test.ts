import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { entryFile } from '#main/lib/program-files.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { createImages } from './images.ts';
import { createUploads, type Uploads } from './uploads.ts';

const images = createImages(entryFile('images/image-worker.ts'));
const folder = mkdtempSync(join(tmpdir(), 'uploads-'));
afterAll(async () => {
  await images.close();
  rmSync(folder, { recursive: true });
});

const DAY_MS = 24 * 3_600_000;
let nowMs: number;
let dir: string;
let uploads: Uploads;
beforeEach(() => {
  nowMs = Date.UTC(2026, 1, 4);
  dir = mkdtempSync(join(folder, 'u-'));
  uploads = createUploads(dir, images, () => nowMs);
});
const fixture = (name: string) => readFileSync(join('tests/fixtures/images', name));

test('what is kept is the decoded image: upright, in sRGB, without the metadata that came with it', async () => {
  const { image } = await uploads.add(fixture('orient6.jpg'));
  expect(image).toMatchObject({ width: 256, height: 320 });
  const { width, height, data } = await decodePng(image?.path ?? '');
  expect([width, height]).toEqual([256, 320]);
  const colours = [
    [64, 80],
    [192, 80],
    [64, 240],
    [192, 240],
  ].map(([x = 0, y = 0]) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)]);
  const right = [
    [200, 40, 40],
    [40, 160, 60],
    [40, 60, 200],
    [220, 200, 60],
  ];
  for (const [i, colour] of colours.entries()) for (const [c, value] of colour.entries()) expect(Math.abs(value - (right[i]?.[c] ?? 0))).toBeLessThanOrEqual(8);
  expect((await sharp(image?.path ?? '').metadata()).exif).toBeUndefined();
});

test('alpha is kept, and dropped if it is 255 everywhere', async () => {
  const half = await sharp({ create: { width: 8, height: 4, channels: 4, background: { r: 9, g: 8, b: 7, alpha: 0.5 } } })
    .png()
    .toBuffer();
  const { image } = await uploads.add(new Uint8Array(half));
  expect((await decodePng(image?.path ?? '')).alpha).toEqual(new Uint8Array(32).fill(128));
  const opaque = await uploads.add(new Uint8Array(await sharp(half).ensureAlpha().composite([]).flatten({ background: 'red' }).ensureAlpha().png().toBuffer()));
  expect((await decodePng(opaque.image?.path ?? '')).alpha).toBeUndefined();
});

test('the same file sent twice at once is kept once, and found by its id', async () => {
  const bytes = fixture('orient6.jpg');
  const [one, two] = await Promise.all([uploads.add(new Uint8Array(bytes)), uploads.add(new Uint8Array(bytes))]);
  expect(one.image).toEqual(two.image);
  expect(readdirSync(dir)).toEqual([`${one.image?.id}.png`]);
  expect(await uploads.find(one.image?.id ?? '')).toEqual(one.image);
  expect(await uploads.find('0'.repeat(64))).toBeNull();
});

test('an image with too many pixels is described and not kept', async () => {
  const large = await sharp({ create: { width: 4097, height: 4096, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  const { description, image } = await uploads.add(new Uint8Array(large));
  expect([description.width, description.height, image]).toEqual([4097, 4096, null]);
});

test.each([
  ['no image', Buffer.from('hello')],
  ['a cut image', fixture('orient6.jpg').subarray(0, 900)],
])('%s is refused, and nothing is left behind', async (_, bytes) => {
  await expect(uploads.add(new Uint8Array(bytes))).rejects.toMatchObject({ code: 'picture_damaged' });
  expect(readdirSync(dir)).toEqual([]);
});

test('an image is removed a day after its last use, unless a job refers to it', async () => {
  const unused = (await uploads.add(fixture('orient6.jpg'))).image?.id ?? '';
  const path = join(folder, 'own.png');
  writeFileSync(
    path,
    await sharp({ create: { width: 8, height: 8, channels: 3, background: 'blue' } })
      .png()
      .toBuffer(),
  );
  const used = (await uploads.addFile(path))?.id ?? '';
  nowMs += DAY_MS - 1000;
  await uploads.find(unused);
  nowMs += 2000;
  await uploads.removeUnused(new Set([used]));
  expect(readdirSync(dir).sort()).toEqual([`${unused}.png`, `${used}.png`].sort());
  nowMs += DAY_MS;
  await uploads.removeUnused(new Set([used]));
  expect(readdirSync(dir)).toEqual([`${used}.png`]);
  // a draft of a process that was killed
  writeFileSync(join(dir, 'draft.new'), '');
  utimesSync(join(dir, 'draft.new'), 1, 1);
  await uploads.removeUnused(new Set([used]));
  expect(readdirSync(dir)).toEqual([`${used}.png`]);
});
