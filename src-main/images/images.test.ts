import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { encodePng } from '#main/lib/png.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { createImages } from './images.ts';

const folder = mkdtempSync(join(tmpdir(), 'images-'));
const images = createImages(entryFile('images/image-worker.ts'));
afterAll(async () => {
  await images.close();
  rmSync(folder, { recursive: true });
});

const texts = [{ keyword: 'recipe', text: '一只猫' }];
const png = await encodePng({ width: 64, height: 32, data: new Uint8Array(64 * 32 * 3).fill(90) }, texts);
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};

test('a thumbnail is a WebP in the proportions of the image, and never wider than it', async () => {
  const path = file('a.png', png);
  const [small, wide] = await Promise.all([images.thumbnail({ path, width: 16, isMarked: true }), images.thumbnail({ path, width: 1024, isMarked: true })]);
  expect(await sharp(small).metadata()).toMatchObject({ format: 'webp', width: 16, height: 8 });
  expect(await sharp(wide).metadata()).toMatchObject({ format: 'webp', width: 64, height: 32 });
});

test('an upload is described with its size and texts', async () => {
  const id = createHash('sha256').update(png).digest('hex');
  expect(await images.import(png.slice())).toMatchObject({ id, format: 'png', width: 64, height: 32, notices: [], texts });
});

test('an error keeps its code on the way out of the thread, and the next task works', async () => {
  await expect(images.thumbnail({ path: file('b.png', png.subarray(0, 150)), width: 16, isMarked: false })).rejects.toMatchObject({ code: 'picture_damaged' });
  await expect(images.thumbnail({ path: join(folder, 'missing.png'), width: 16, isMarked: false })).rejects.toMatchObject({ code: 'picture_damaged' });
  await expect(images.import(png.slice(0, 150))).rejects.toMatchObject({ code: 'picture_damaged' });
  await expect(images.import(png.slice())).resolves.toMatchObject({ width: 64 });
});

test('an image goes out as PNG, JPEG and WebP, and comes back from each', async () => {
  const image = await images.decode(readFileSync('tests/fixtures/images/orient6.jpg'));
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    const decoded = await images.decode(await images.encode({ image, format, quality: 90 }));
    expect(decoded).toMatchObject({ format, width: 256, height: 320, channels: 3 });
  }
});

/** A pool over a thread that does what `body` says with its input. */
function poolOf(name: string, body: string, timeoutMs?: number) {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, `import { existsSync, writeFileSync } from 'node:fs';\nconst mark = ${JSON.stringify(join(folder, name))};\n${body}`);
  return createImages(path, timeoutMs);
}
const answer = '{ value: { format: "png", width: 1, height: 1, notices: [], texts: [], png: null } }';

test('a thread that crashes is replaced; only its own task fails', async () => {
  const pool = poolOf(
    'crash',
    `export function importing() {
      if (existsSync(mark)) return ${answer};
      writeFileSync(mark, '');
      return new Promise(() => setImmediate(() => { throw new Error('crashed'); }));
    }`,
  );
  await expect(pool.import(png.slice())).rejects.toThrow('crashed');
  await expect(pool.import(png.slice())).resolves.toMatchObject({ width: 1 });
  await pool.close();
});

test('work that hangs is ended after its time, and what waits behind it is not: its own time starts later', async () => {
  const pool = poolOf('hang', `export function importing(bytes) { while (bytes[0] === 1); return ${answer}; }`, 1000);
  const hanging = [0, 1, 2].map(() => pool.import(Uint8Array.of(1)));
  const waiting = pool.import(Uint8Array.of(0));
  for (const hung of hanging) await expect(hung).rejects.toMatchObject({ code: 'picture_damaged', message: expect.stringContaining('1 s') });
  await expect(waiting).resolves.toMatchObject({ width: 1 });
  await pool.close();
});

test('the thread that answers requests stays free while a large file is read', async () => {
  const chunk = Buffer.alloc(64 * 1024 * 1024 + 12);
  chunk.writeUInt32BE(chunk.length - 12, 0);
  chunk.write('prIv', 4, 'latin1');
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), chunk.length - 4);
  const large = Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
  let turns = 0;
  const turning = setInterval(() => turns++, 1);
  await expect(images.import(large)).resolves.toMatchObject({ width: 64 });
  clearInterval(turning);
  expect(turns).toBeGreaterThan(0);
});

test('a file with more pixels than an upload may have is inspected: upscaled images can be that large', async () => {
  const create = { width: 8200, height: 8200, channels: 3 as const, background: '#abc' };
  const bytes = await sharp({ create, limitInputPixels: false }).png({ compressionLevel: 1 }).toBuffer();
  const path = file('large.png', bytes);
  expect(await images.inspect({ path })).toMatchObject({ format: 'png', width: 8200, height: 8200, recipe: null });
  await expect(images.decode(readFileSync(path))).rejects.toMatchObject({ code: 'body_too_large' });
});
