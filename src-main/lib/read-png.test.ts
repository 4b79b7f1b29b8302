import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { encodePng } from './png.ts';
import { decodePng } from './read-png.ts';

const folder = mkdtempSync(join(tmpdir(), 'png-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** Smooth in one half and noise in the other, so that an encoder finds use for every filter. */
function paint(width: number, height: number, channels: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(width * height * channels);
  let noise = 1;
  for (let i = 0; i < data.length; i++) {
    noise = (noise * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    const x = Math.floor(i / channels) % width;
    data[i] = x < width / 2 ? (x * 3 + i / (width * channels)) & 255 : noise >> 16;
  }
  return data;
}

const raw = (data: Uint8Array, width: number, height: number, channels: 1 | 2 | 3 | 4) => sharp(data, { raw: { width, height, channels } });

test('another decoder reads the pixels that we write, and so do we', async () => {
  const image = { width: 301, height: 97, data: paint(301, 97, 3) };
  const bytes = await encodePng(image, [{ keyword: 'parameters', text: 'a cat' }]);
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels, data.equals(image.data)]).toEqual([301, 97, 3, true]);
  expect(await decodePng(file('ours.png', bytes))).toEqual(image);
});

test('an image of one band and one of many come back as they were', async () => {
  for (const [width, height] of [
    [1, 1],
    [5, 3],
    [16_384, 48],
  ] as const) {
    const image = { width, height, data: paint(width, height, 3) };
    const decoded = await decodePng(file('size.png', await encodePng(image, [])));
    expect(Buffer.compare(decoded.data, image.data)).toBe(0);
  }
});

test("another encoder's filters are undone", async () => {
  const image = { width: 128, height: 64, data: paint(128, 64, 3) };
  const bytes = await raw(image.data, 128, 64, 3).png({ adaptiveFiltering: true, compressionLevel: 6 }).toBuffer();
  expect(await decodePng(file('filters.png', bytes))).toEqual(image);
});

/** Each filter type, by the plain formulas of the specification. */
test.for([0, 1, 2, 3, 4])('filter type %i', async (type) => {
  const [width, height] = [7, 5];
  const pixels = paint(width, height, 3);
  const stride = width * 3;
  const rows = Array.from({ length: height }, (_, y) => {
    const line = Array.from({ length: stride }, (__, i) => {
      const at = (dx: number, dy: number) => (i - dx * 3 < 0 || y - dy < 0 ? 0 : (pixels[(y - dy) * stride + i - dx * 3] ?? 0));
      const [left, up, upLeft] = [at(1, 0), at(0, 1), at(1, 1)];
      const nearest = [left, up, upLeft].map((value) => ({ value, distance: Math.abs(left + up - upLeft - value) }));
      const paeth = nearest.reduce((best, next) => (next.distance < best.distance ? next : best)).value;
      const predicted = [0, left, up, Math.floor((left + up) / 2), paeth][type] ?? 0;
      return (at(0, 0) - predicted) & 255;
    });
    return Buffer.from([type, ...line]);
  });
  const decoded = await decodePng(file('filter.png', pngOf(width, height, 8, 2, 0, Buffer.concat(rows))));
  expect(Buffer.compare(decoded.data, pixels)).toBe(0);
});

test('what cannot be read says what it met', async () => {
  const ours = await encodePng({ width: 5, height: 3, data: paint(5, 3, 3) }, []);
  const rows = Buffer.alloc(3 * 16);
  for (const [name, bytes, words] of [
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'does not start with the PNG signature'],
    ['cut in its pixels', ours.subarray(0, 60), 'the "IDAT" chunk at byte 47 claims'],
    ['without its end', ours.subarray(0, -12), 'without an IEND chunk'],
    ['a palette', pngOf(5, 3, 8, 3, 0, rows), 'colour type 3'],
    ['gray', pngOf(5, 3, 8, 0, 0, rows), 'colour type 0'],
    ['16 bits', pngOf(5, 3, 16, 2, 0, rows), 'bit depth 16'],
    ['interlaced', pngOf(5, 3, 8, 2, 1, rows), 'interlace method 1'],
    ['no pixel', pngOf(0, 3, 8, 2, 0, rows), '0 x 3 pixels'],
    ['too many pixels', pngOf(65_536, 65_536, 8, 2, 0, rows), '65536 x 65536 pixels'],
    ['a row too few', pngOf(5, 3, 8, 2, 0, rows.subarray(16)), '2 of its 3 rows'],
    ['a bomb', pngOf(5, 3, 8, 2, 0, Buffer.alloc(1_000_000)), 'more than its 3 rows'],
    ['an unknown filter', pngOf(5, 3, 8, 2, 0, Buffer.alloc(48, 7)), 'filter type 7'],
  ] as const) {
    await expect(decodePng(file('bad.png', bytes)), name).rejects.toMatchObject({ code: 'picture_damaged', message: expect.stringContaining(words) });
  }
  await expect(decodePng(join(folder, 'missing.png'))).rejects.toMatchObject({ code: 'picture_damaged' });
});

test('a byte changed anywhere is noticed', async () => {
  const image = { width: 9, height: 9, data: paint(9, 9, 3) };
  const bytes = await encodePng(image, []);
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ change : byte));
      await expect(decodePng(file('changed.png', changed))).rejects.toMatchObject({ code: 'picture_damaged' });
    }),
    { numRuns: 60 },
  );
});

function pngOf(width: number, height: number, bitDepth: number, colourType: number, interlace: number, rows: Uint8Array): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colourType, 0, 0, interlace], 8);
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}
