import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { encodePng } from './png.ts';
import { readPngTexts } from './png-texts.ts';

const MIB = 1024 * 1024;

function chunk(type: string, data: Uint8Array, crcError = 0): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE((crc32(body) ^ crcError) >>> 0, 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

const black = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'black' } })
  .png()
  .toBuffer();
/** A PNG of one black pixel with these chunks after its header. */
const pngWith = (...chunks: Buffer[]): Buffer => Buffer.concat([black.subarray(0, 33), ...chunks, black.subarray(33)]);
const good = chunk('tEXt', Buffer.from('good\0text'));
const goodText = { keyword: 'good', text: 'text', plain: true };

test('reads the compressed texts of other programs', () => {
  const zTXt = chunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), deflateSync(Buffer.from('café', 'latin1'))]));
  const iTXt = chunk('iTXt', Buffer.concat([Buffer.from('Title\0\x01\0zh\0题\0'), deflateSync(Buffer.from('猫'))]));
  expect(readPngTexts(pngWith(zTXt, iTXt))).toEqual([
    { keyword: 'Comment', text: 'café', plain: true },
    { keyword: 'Title', text: '猫' },
  ]);
});

test('reads UTF-8 in a tEXt chunk, which the standard does not allow and many programs write', () => {
  const utf8 = chunk('tEXt', Buffer.from('parameters\0一只猫, café'));
  const latin1 = chunk('tEXt', Buffer.from('parameters\0caf\xe9', 'latin1'));
  expect(readPngTexts(pngWith(utf8, latin1)).map(({ text }) => text)).toEqual(['一只猫, café', 'café']);
});

test('reads a text of several MiB, and hundreds of texts', () => {
  const workflow = 'x'.repeat(5 * MIB);
  expect(readPngTexts(pngWith(chunk('tEXt', Buffer.from(`workflow\0${workflow}`)), good))).toEqual([
    { keyword: 'workflow', text: workflow, plain: true },
    goodText,
  ]);
  expect(readPngTexts(pngWith(...Array.from({ length: 300 }, () => good)))).toHaveLength(300);
});

test.for([
  ['no keyword', chunk('tEXt', Buffer.from('no end'))],
  ['an empty keyword', chunk('tEXt', Buffer.from('\0text'))],
  ['an unknown method', chunk('zTXt', Buffer.from('k\0\x05'))],
  ['a wrong flag', chunk('iTXt', Buffer.from('k\0\x02\0\0\0t'))],
  ['text that is not UTF-8', chunk('iTXt', Buffer.from([0x6b, 0, 0, 0, 0, 0, 0xff]))],
  ['damaged compression', chunk('zTXt', Buffer.from('k\0\0garbage'))],
  ['a wrong CRC', chunk('tEXt', Buffer.from('k\0v'), 1)],
  ['a wrong CRC in a chunk without text', chunk('prIv', Buffer.from('data'), 1)],
  ['a second header', chunk('IHDR', Buffer.alloc(13))],
  ['more than 16 MiB', chunk('tEXt', Buffer.concat([Buffer.from('k\0'), Buffer.alloc(16 * MIB + 1, 65)]))],
  ['a decompression bomb', chunk('zTXt', Buffer.concat([Buffer.from('k\0\0'), deflateSync(Buffer.alloc(17 * MIB))]))],
] as const)('%s is skipped, and the next text is read', ([, bad]) => {
  expect(readPngTexts(pngWith(bad, good))).toEqual([goodText]);
});

test('at most 1,000 texts are read', () => {
  expect(readPngTexts(pngWith(...Array.from({ length: 1001 }, () => good)))).toHaveLength(1000);
});

test('a file that is cut anywhere gives the texts before the cut', async () => {
  const png = await encodePng({ width: 5, height: 3, data: new Uint8Array(45) }, [{ keyword: 'k', text: 'v' }]);
  const lengths = Array.from({ length: png.length }, (_, length) => readPngTexts(png.subarray(0, length)).length);
  expect([lengths[0], lengths.at(-1), lengths.toSorted()]).toEqual([0, 1, lengths]);
});

test('any bytes give texts and never throw', () => {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => Array.isArray(readPngTexts(Uint8Array.from([...signature, ...tail])))));
});
