import { expect, test } from 'vitest';
import { imageFormat } from './image-format.ts';

const box = (...brands: string[]): Buffer => Buffer.from(`\0\0\0\x1cftyp${brands.join('')}`, 'latin1');

test.for([
  ['HEIC', box('heic', '\0\0\0\0', 'mif1', 'heic')],
  ['HEIC', box('mif1', '\0\0\0\0', 'heic')],
  ['ISO media', box('isom', '\0\0\0\0', 'mp41')],
  ['BMP', Buffer.from('BM\x36\0\0\0\0\0\0\0', 'latin1')],
  ['JPEG XL', Buffer.from([0xff, 0x0a, 1, 2])],
  ['JPEG 2000', Buffer.from([0xff, 0x4f, 0xff, 0x51])],
  ['Photoshop', Buffer.from('8BPS\0\x01')],
  ['PDF', Buffer.from('%PDF-1.7')],
] as const)('%s is refused by name', ([name, bytes]) => {
  expect(() => imageFormat(bytes)).toThrow(expect.objectContaining({ code: 'unsupported_media_type', message: expect.stringContaining(name) }));
});

test('an AVIF may name itself only among its compatible brands', () => {
  expect([imageFormat(box('avif', '\0\0\0\0')), imageFormat(box('mif1', '\0\0\0\0', 'miaf', 'avif'))]).toEqual(['avif', 'avif']);
});

test('the first bytes decide, and unknown ones are shown in the message', () => {
  expect(() => imageFormat(Buffer.from('hello'))).toThrow(expect.objectContaining({ code: 'picture_damaged', message: expect.stringContaining('"hello"') }));
});
