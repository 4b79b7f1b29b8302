import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { encodePng, type PngText } from './png.ts';
import { readPngTexts } from './png-texts.ts';

const image = { width: 5, height: 3, data: Uint8Array.from({ length: 45 }, (_, i) => (i * 37) & 255) };

test('texts come back as they were, in order', async () => {
  const texts: PngText[] = [
    { keyword: 'parameters', text: 'café\nSteps: 9', plain: true },
    { keyword: 'recipe', text: '{"prompt":"一只猫 🐈"}' },
    { keyword: 'empty', text: '' },
  ];
  expect(readPngTexts(await encodePng(image, texts))).toEqual(texts);
});

test('a plain text beyond Latin-1 becomes an international one, a NUL the replacement character', async () => {
  const png = await encodePng(image, [
    { keyword: 'parameters', text: '猫', plain: true },
    { keyword: 'recipe', text: 'a\0b' },
  ]);
  expect(readPngTexts(png)).toEqual([
    { keyword: 'parameters', text: '猫' },
    { keyword: 'recipe', text: 'a\ufffdb' },
  ]);
});

test.for(['', 'k'.repeat(80), ' leading', 'trailing ', 'two  spaces', 'new\nline', '猫'])('keyword %j is refused', async (keyword) => {
  await expect(encodePng(image, [{ keyword, text: '' }])).rejects.toThrow(RangeError);
});

test('an image with alpha is written as RGBA', async () => {
  const alpha = Uint8Array.from({ length: 15 }, (_, i) => 17 * i);
  const png = Buffer.from(await encodePng({ ...image, alpha }, []));
  expect([...png.subarray(24, 26)]).toEqual([8, 6]);
  const pieces: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') pieces.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const rows = inflateSync(Buffer.concat(pieces));
  // each row is its difference to the row above, after the byte 2
  const value = (y: number, i: number): number => (y < 0 ? 0 : ((rows[y * 21 + 1 + i] ?? 0) + value(y - 1, i)) & 255);
  const pixel = (x: number, y: number) => [0, 1, 2, 3].map((channel) => value(y, 4 * x + channel));
  for (const [x, y] of [
    [0, 0],
    [4, 1],
    [2, 2],
  ] as const)
    expect(pixel(x, y)).toEqual([...image.data.subarray((y * 5 + x) * 3, (y * 5 + x) * 3 + 3), alpha[y * 5 + x]]);
});
