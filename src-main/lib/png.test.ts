import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { encodePng, type PngText, readPngTexts } from './png.ts';

const picture = { width: 5, height: 3, data: Uint8Array.from({ length: 45 }, (_, i) => (i * 37) & 255) };

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, crc]);
}

/** A PNG of one black pixel with these chunks behind its header. */
async function pngWith(...chunks: Buffer[]): Promise<Buffer> {
  const png = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'black' } })
    .png()
    .toBuffer();
  return Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'picture_damaged') return thrown.message;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

test('texts come back as they were, in order', async () => {
  const texts: PngText[] = [
    { keyword: 'parameters', text: 'café\nSteps: 9', plain: true },
    { keyword: 'recipe', text: '{"prompt":"一只猫 🐈"}' },
    { keyword: 'empty', text: '' },
  ];
  expect(readPngTexts(await encodePng(picture, texts))).toEqual(texts);
});

test('a plain text beyond Latin-1 becomes an international one, a NUL the replacement character', async () => {
  const png = await encodePng(picture, [
    { keyword: 'parameters', text: '猫', plain: true },
    { keyword: 'recipe', text: 'a\0b' },
  ]);
  expect(readPngTexts(png)).toEqual([
    { keyword: 'parameters', text: '猫' },
    { keyword: 'recipe', text: 'a\ufffdb' },
  ]);
});

test.for(['', 'k'.repeat(80), ' leading', 'trailing ', 'two  spaces', 'new\nline', '猫'])('keyword %j is refused', async (keyword) => {
  await expect(encodePng(picture, [{ keyword, text: '' }])).rejects.toThrow(RangeError);
});

test('packed texts of other programs are read', async () => {
  const zTXt = chunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), deflateSync(Buffer.from('café', 'latin1'))]));
  const iTXt = chunk('iTXt', Buffer.concat([Buffer.from('Title\0\x01\0zh\0题\0'), deflateSync(Buffer.from('猫'))]));
  expect(readPngTexts(await pngWith(zTXt, iTXt))).toEqual([
    { keyword: 'Comment', text: 'café', plain: true },
    { keyword: 'Title', text: '猫' },
  ]);
});

test('a text that unpacks to more than a mebibyte is refused', async () => {
  const bomb = chunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), deflateSync(Buffer.alloc(1024 * 1024 + 1))]));
  const png = await pngWith(bomb);
  expect(messageOf(() => readPngTexts(png))).toContain('1048576');
});

test('more than 64 texts are refused', async () => {
  const png = await pngWith(...Array.from({ length: 65 }, () => chunk('tEXt', Buffer.from('k\0v'))));
  expect(messageOf(() => readPngTexts(png))).toContain('64');
});

test.for([
  ['no keyword', chunk('tEXt', Buffer.from('no end')), 'NUL'],
  ['an empty keyword', chunk('tEXt', Buffer.from('\0text')), '0 characters'],
  ['an unknown method', chunk('zTXt', Buffer.from('k\0\x05')), 'method 5'],
  ['a wrong flag', chunk('iTXt', Buffer.from('k\0\x02\0\0\0t')), 'flag 2'],
  ['text that is not UTF-8', chunk('iTXt', Buffer.from([0x6b, 0, 0, 0, 0, 0, 0xff])), 'UTF-8'],
  ['a second header', chunk('IHDR', Buffer.alloc(13)), 'IHDR'],
] as const)('%s is refused', async ([, bad, word]) => {
  const png = await pngWith(bad);
  expect(messageOf(() => readPngTexts(png))).toContain(word);
});

test('a flipped bit anywhere is noticed', async () => {
  const png = Buffer.from(await encodePng(picture, [{ keyword: 'k', text: 'v' }]));
  fc.assert(
    fc.property(fc.nat(png.length - 1), fc.nat(7), (at, bit) => {
      const flipped = Buffer.from(png);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at);
      expect(messageOf(() => readPngTexts(flipped))).toContain('cannot be read');
    }),
  );
});

test('a file cut anywhere is noticed', async () => {
  const png = await encodePng(picture, [{ keyword: 'k', text: 'v' }]);
  for (let length = 0; length < png.length; length++) expect(messageOf(() => readPngTexts(png.subarray(0, length)))).toContain('cannot be read');
});

test('any bytes give texts or picture_damaged, nothing else', () => {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
      expect(messageOf(() => readPngTexts(Uint8Array.from([...signature, ...tail])))).toContain('cannot be read');
    }),
  );
});
