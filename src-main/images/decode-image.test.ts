import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { type DecodedImage, decodeImage, importImage } from './decode-image.ts';

const fixture = (name: string): Buffer => readFileSync(`tests/fixtures/images/${name}`);
const pixel = ({ data, width, channels }: DecodedImage, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * channels, (y * width + x + 1) * channels),
];
const near = (value: number, off: number) => expect.toSatisfy((found: number) => Math.abs(found - value) <= off);
const flat = (channels: 1 | 2 | 3 | 4, value = 119) => sharp(Buffer.alloc(64 * 64 * channels, value), { raw: { width: 64, height: 64, channels } });

/** `png` with one more chunk after its header. */
function withChunk(png: Buffer, type: string, data: Uint8Array, crcError = 0): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE((crc32(body) ^ crcError) >>> 0, 4);
  return Buffer.concat([png.subarray(0, 33), ends.subarray(0, 4), body, ends.subarray(4), png.subarray(33)]);
}

test('a photo that lies on its side is decoded upright, and described so', async () => {
  const image = await decodeImage(fixture('orient6.jpg'));
  expect([image.width, image.height, image.channels]).toEqual([256, 320, 3]);
  for (const [x, y, colour] of [
    [64, 80, [200, 40, 40]],
    [192, 80, [40, 160, 60]],
    [64, 240, [40, 60, 200]],
    [192, 240, [220, 200, 60]],
  ] as const) {
    expect(pixel(image, x, y)).toEqual(colour.map((value) => near(value, 8)));
  }
  expect(await importImage(fixture('orient6.jpg'))).toMatchObject({ width: 256, height: 320 });
});

test('colours of a wide gamut become sRGB', async () => {
  const image = await decodeImage(fixture('display-p3.png'));
  const bands = [32, 96, 160, 224].map((x) => pixel(image, x, 128));
  expect(bands).toEqual([
    [near(255, 2), near(0, 2), near(0, 2)],
    [near(2, 2), near(255, 2), near(0, 2)],
    [0, 0, 255].map((v) => near(v, 2)),
    [128, 128, 128].map((v) => near(v, 2)),
  ]);
});

test.for([
  ['png', async () => flat(3).png().toBuffer()],
  ['jpeg', async () => flat(3).jpeg().toBuffer()],
  ['webp', async () => flat(3).webp().toBuffer()],
  ['avif', async () => flat(3).avif().toBuffer()],
  ['tiff', async () => flat(3).tiff().toBuffer()],
  ['gif', async () => flat(3).gif().toBuffer()],
] as const)('%s is decoded', async ([format, make]) => {
  const image = await decodeImage(await make());
  expect([image.format, image.width, image.height, pixel(image, 9, 9).slice(0, 3)]).toEqual([format, 64, 64, [119, 119, 119].map((value) => near(value, 2))]);
});

test.for([
  ['gray', 3, [], async () => flat(1).png().toBuffer()],
  ['gray with alpha', 4, [], async () => flat(2).png().toBuffer()],
  ['a palette', 4, [], async () => flat(4).png({ palette: true }).toBuffer()],
  ['16 bits', 3, ['reduced_to_8_bits'], async () => flat(3).toColourspace('rgb16').png().toBuffer()],
  ['CMYK', 3, ['converted_from_cmyk'], async () => flat(3).toColourspace('cmyk').jpeg().toBuffer()],
] as const)('%s becomes sRGB of 8 bits, and the notices say what was lost', async ([, channels, notices, make]) => {
  const image = await decodeImage(await make());
  expect([image.channels, image.data.length, image.notices]).toEqual([channels, 64 * 64 * channels, notices]);
  // the way to CMYK and back is not exact
  expect(pixel(image, 9, 9).slice(0, 3)).toEqual([119, 119, 119].map((value) => near(value, notices[0] === 'converted_from_cmyk' ? 15 : 1)));
});

test.for(['gif', 'webp'] as const)('of an animated %s the first frame is read, with a notice', async (format) => {
  const frames = Buffer.concat([Buffer.alloc(8 * 8 * 3, 10), Buffer.alloc(8 * 8 * 3, 200)]);
  const bytes = await sharp(frames, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
    .toFormat(format)
    .toBuffer();
  const image = await decodeImage(bytes);
  expect([image.width, image.height, image.notices, pixel(image, 4, 4)[0]]).toEqual([8, 8, ['first_frame_only'], near(10, 2)]);
});

const png = await flat(3).png().toBuffer();
test.for([
  ['a text of 10 MiB', withChunk(png, 'tEXt', Buffer.concat([Buffer.from('workflow\0'), Buffer.alloc(10 * 1024 * 1024, 65)]))],
  ['a wrong CRC in a text', withChunk(png, 'tEXt', Buffer.from('a\0b'), 1)],
  ['a wrong CRC in a chunk that is not needed', withChunk(png, 'prIv', Buffer.from('abc'), 1)],
  ['a damaged colour profile', withChunk(png, 'iCCP', Buffer.from('x\0\0garbage'))],
  ['65 texts', Array.from({ length: 65 }).reduce<Buffer>((bytes) => withChunk(bytes, 'tEXt', Buffer.from('a\0b')), png)],
] as const)('a PNG with %s is a good PNG', async ([, bytes]) => {
  expect(await importImage(bytes)).toMatchObject({ format: 'png', width: 64, height: 64 });
});

const noise = await sharp({ create: { width: 300, height: 300, channels: 3, background: 'red', noise: { type: 'gaussian', mean: 128, sigma: 60 } } })
  .png()
  .toBuffer();
test.for([
  ['a cut PNG', noise.subarray(0, 20_000), 'picture_damaged'],
  ['a PNG with damaged pixels', Buffer.from(noise).fill(0, 20_000, 20_100), 'picture_damaged'],
  ['a cut JPEG', (await sharp(noise).jpeg().toBuffer()).subarray(0, 9000), 'picture_damaged'],
  ['nothing', Buffer.alloc(0), 'picture_damaged'],
  ['text', Buffer.from('hello'), 'picture_damaged'],
  ['a PPM', Buffer.from('P3\n1 1\n255\n1 2 3\n'), 'picture_damaged'],
  ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'picture_damaged'],
  [
    '20,000 x 20,000 pixels',
    await sharp({ create: { width: 20_000, height: 20_000, channels: 3, background: 'red' }, limitInputPixels: false })
      .png({ palette: true })
      .toBuffer(),
    'body_too_large',
  ],
] as const)('%s is refused', async ([, bytes, code]) => {
  await expect(importImage(bytes)).rejects.toMatchObject({ code });
  await expect(decodeImage(bytes)).rejects.toMatchObject({ code });
});

test('nothing of the file but its pixels is kept', async () => {
  const tagged = await flat(3)
    .withExif({ IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 3230/100' }, IFD0: { Artist: 'somebody' } })
    .jpeg()
    .toBuffer();
  expect(tagged.includes('somebody')).toBe(true);
  expect(Object.keys(await decodeImage(tagged)).sort()).toEqual(['channels', 'data', 'format', 'height', 'notices', 'width']);
});
