import sharp from 'sharp';
import { expect, test } from 'vitest';
import { encodeImage } from './encode-image.ts';

const transparent = { width: 4, height: 4, channels: 4 as const, data: new Uint8Array(64) };

test('JPEG puts white behind transparency; PNG and WebP keep it', async () => {
  const first = async (format: 'png' | 'jpeg' | 'webp') =>
    sharp(await encodeImage({ image: transparent, format, quality: 90 }))
      .raw()
      .toBuffer({ resolveWithObject: true });
  const jpeg = await first('jpeg');
  expect([jpeg.info.channels, [...jpeg.data.subarray(0, 3)]]).toEqual([3, [255, 255, 255]]);
  for (const format of ['png', 'webp'] as const) expect((await first(format)).data[3]).toBe(0);
});

test('a PNG of RGB pixels holds exactly these pixels', async () => {
  const data = Uint8Array.from({ length: 48 }, (_, i) => i * 5);
  const bytes = await encodeImage({ image: { width: 4, height: 4, channels: 3, data }, format: 'png', quality: 90 });
  expect(new Uint8Array(await sharp(bytes).raw().toBuffer())).toEqual(data);
});

test('a side that the format cannot hold is refused with the limit', async () => {
  const image = { width: 16_384, height: 1, channels: 3 as const, data: new Uint8Array(16_384 * 3) };
  await expect(encodeImage({ image, format: 'webp', quality: 90 })).rejects.toMatchObject({ code: 'bad_param', message: expect.stringContaining('16383') });
  await expect(encodeImage({ image, format: 'jpeg', quality: 90 })).resolves.toBeInstanceOf(Uint8Array);
});
