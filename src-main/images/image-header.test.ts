import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { readPictureHeader } from './image-header.ts';

const drawn = (width: number, height: number, alpha = 1) => sharp({ create: { width, height, channels: 4, background: { r: 9, g: 99, b: 199, alpha } } });

test('another program’s files', async () => {
  const files = [
    [await drawn(300, 20).png().toBuffer(), 'png'],
    [await drawn(300, 20).jpeg().toBuffer(), 'jpeg'],
    [
      await drawn(300, 20)
        .jpeg({ progressive: true })
        .withExif({ IFD0: { Copyright: 'x'.repeat(9000) } })
        .toBuffer(),
      'jpeg',
    ],
    [await drawn(300, 20).webp().toBuffer(), 'webp'],
    [await drawn(300, 20, 0.5).webp().toBuffer(), 'webp'],
    [await drawn(300, 20).webp({ lossless: true }).toBuffer(), 'webp'],
    [await drawn(300, 20).gif().toBuffer(), 'gif'],
  ] as const;
  for (const [bytes, format] of files) expect(readPictureHeader(bytes)).toEqual({ format, width: 300, height: 20 });
});

test('anything else is picture_damaged, nothing worse', () => {
  const starts = ['', '\x89PNG\r\n\x1a\n', 'GIF89a', 'RIFF\0\0\0\0WEBPVP8 ', 'RIFF\0\0\0\0WEBPVP8L', '\xff\xd8\xff\xe0\0', '\xff\xd8\xff', '<svg '];
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 60 }), (start, rest) => {
      try {
        const { width, height } = readPictureHeader(Buffer.concat([Buffer.from(start, 'latin1'), rest]));
        expect(width * height).toBeGreaterThan(0);
      } catch (thrown) {
        expect(thrown instanceof AppError && thrown.code).toBe('picture_damaged');
      }
    }),
  );
});
