import sharp from 'sharp';
import { expect, test } from 'vitest';
import { encodeJpeg } from './jpeg.ts';

/** Waves of all lengths in three colours, with hard edges between them. */
function paint(width: number, height: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y, channel] = [Math.floor(i / 3) % width, Math.floor(i / (width * 3)), i % 3];
    const wave = Math.sin((x * (y + channel * 40)) / 700) + Math.cos((y * (channel + 1)) / 9);
    return (x >> 5) % 2 === channel % 2 ? 128 + 60 * wave : 40 + channel * 70;
  });
}

function decibel(one: Uint8Array, other: Uint8Array): number {
  const squares = one.reduce((sum, value, i) => sum + (value - (other[i] ?? 0)) ** 2, 0);
  return 10 * Math.log10((255 * 255 * one.length) / squares);
}

test.for([
  [256, 144],
  [1, 1],
  [13, 31],
])('another decoder reads a picture of %i x %i as it was', async ([width = 0, height = 0]) => {
  const data = paint(width, height);
  const file = encodeJpeg({ width, height, data }, 95);
  const decoded = await sharp(file, { failOn: 'warning' }).raw().toBuffer({ resolveWithObject: true });
  expect([decoded.info.width, decoded.info.height, decoded.info.channels]).toEqual([width, height, 3]);
  expect(decibel(data, decoded.data)).toBeGreaterThan(34);
});

test.for([10, 50, 82, 100])('at quality %i it is as good as libjpeg, and not much larger', async (quality) => {
  const picture = { width: 256, height: 256, data: paint(256, 256) };
  const ours = encodeJpeg(picture, quality);
  const theirs = await sharp(picture.data, { raw: { width: 256, height: 256, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4', optimiseCoding: false })
    .toBuffer();
  const pixels = (file: Buffer) => sharp(file).raw().toBuffer();
  expect(decibel(picture.data, await pixels(ours))).toBeGreaterThan(decibel(picture.data, await pixels(theirs)) - 0.1);
  expect(ours.length).toBeLessThan(theirs.length * 1.02);
});
