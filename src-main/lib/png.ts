import { crc32 } from 'node:zlib';
import { packRows } from './png-rows.ts';
import type { RgbImage } from './rgb-image.ts';

/** A text entry of a PNG: keyword (printable Latin-1, 1 to 79 characters) and text. */
export interface PngText {
  keyword: string;
  text: string;
  /** Write a tEXt chunk, the form that most tools write, if the text is Latin-1. Otherwise, and by default, an iTXt chunk. */
  plain?: boolean;
}

export const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/**
 * Encodes the image as PNG, with alpha where it has one, with `texts` directly after the header. PNG does not allow NUL in a text; it becomes U+FFFD.
 * Throws `RangeError` for a keyword that PNG does not allow. Source: https://www.w3.org/TR/png-3/
 */
export async function encodePng(image: RgbImage, texts: readonly PngText[]): Promise<Uint8Array> {
  const chunks = texts.flatMap(textChunk);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(image.width, 0);
  header.writeUInt32BE(image.height, 4);
  // 8 bits per channel, RGB or RGBA; compression, filter method and interlace are 0
  header.set([8, image.alpha === undefined ? 2 : 6], 8);
  const pixels = (await packRows(image)).flatMap((piece) => chunk('IDAT', piece));
  return Buffer.concat([PNG_SIGNATURE, ...chunk('IHDR', header), ...chunks, ...pixels, ...chunk('IEND', Buffer.alloc(0))]);
}

/** The parts of a text's chunk in file order. Throws `RangeError` for a keyword that PNG does not allow. */
export function textChunk({ keyword, text, plain }: PngText): Uint8Array[] {
  if (!/^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword) || /^ | $| {2}/.test(keyword)) {
    throw new RangeError(`PNG keyword ${JSON.stringify(keyword)}: must be 1 to 79 printable Latin-1 characters without outer or double spaces.`);
  }
  const clean = text.replaceAll('\0', '\ufffd');
  const isLatin1 = /^[^\u{100}-\u{10ffff}]*$/u.test(clean);
  if (plain === true && isLatin1) return chunk('tEXt', Buffer.from(`${keyword}\0${clean}`, 'latin1'));
  // after the keyword: not compressed, method 0, no language tag, no translated keyword
  return chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(clean, 'utf8')]));
}

/** The chunk's parts in file order. `data` is not copied here: pixels are copied only once, into the whole file. */
function chunk(type: string, data: Uint8Array): Uint8Array[] {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length, 0);
  head.write(type, 4, 'latin1');
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(data, crc32(head.subarray(4))), 0);
  return [head, data, check];
}
