import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { encodePng } from '#main/lib/png.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { readPictureHeader } from './image-header.ts';
import { createImages } from './images.ts';

const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
const images = createImages(entryFile('images/image-thread.ts'));
afterAll(async () => {
  await images.close();
  rmSync(folder, { recursive: true });
});

const texts = [{ keyword: 'recipe', text: '一只猫' }];
const png = await encodePng({ width: 64, height: 32, data: new Uint8Array(64 * 32 * 3).fill(90) }, texts);

test('a smaller picture is written, and a picture is described, by the thread', async () => {
  const [from, to] = [join(folder, 'a.png'), join(folder, 'a.jpg')];
  writeFileSync(from, png);
  const [, described] = await Promise.all([images.shrink(from, 16, to), images.describe(png.slice())]);
  expect(readPictureHeader(readFileSync(to))).toEqual({ format: 'jpeg', width: 16, height: 8 });
  expect(described).toEqual({ format: 'png', width: 64, height: 32, texts });
});

test('what is damaged is told, leaves no file, and the thread goes on', async () => {
  const [from, to] = [join(folder, 'b.png'), join(folder, 'b.jpg')];
  writeFileSync(from, png.subarray(0, 70));
  await expect(images.shrink(from, 16, to)).rejects.toMatchObject({ code: 'picture_damaged' });
  expect(existsSync(to)).toBe(false);
  await expect(images.describe(png.slice(0, 70))).rejects.toMatchObject({ code: 'picture_damaged' });
  await expect(images.describe(png.slice())).resolves.toMatchObject({ width: 64 });
});

test('a thread that ends in the middle of its work is replaced', async () => {
  const [deadly, mark] = [join(folder, 'deadly.mjs'), join(folder, 'mark')];
  // ends at its first message, and answers from the second thread on
  writeFileSync(
    deadly,
    `import { existsSync, writeFileSync } from 'node:fs'; import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id }) => {
      if (existsSync(${JSON.stringify(mark)})) return parentPort.postMessage({ id, reply: { format: 'png', width: 1, height: 1, texts: [] } });
      writeFileSync(${JSON.stringify(mark)}, '');
      process.exit(7);
    });`,
  );
  const others = createImages(deadly);
  await expect(others.describe(png.slice())).rejects.toThrow('ended in the middle');
  await expect(others.describe(png.slice())).resolves.toMatchObject({ width: 1 });
  await others.close();
});

test('while a large file is read through, the thread that answers requests stays free', async () => {
  // the header, one private chunk of 64 MiB with its right CRC, and no end
  const chunk = Buffer.alloc(64 * 1024 * 1024 + 12);
  chunk.writeUInt32BE(chunk.length - 12, 0);
  chunk.write('priV', 4, 'latin1');
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), chunk.length - 4);
  const large = Buffer.concat([png.subarray(0, 33), chunk]);
  let turns = 0;
  const turning = setInterval(() => turns++, 1);
  await expect(images.describe(large)).rejects.toMatchObject({ message: expect.stringContaining('without an IEND') });
  clearInterval(turning);
  expect(turns).toBeGreaterThan(0);
});
