import { readFile } from 'node:fs/promises';
import { crc32, inflateSync } from 'node:zlib';
import sharp from 'sharp';
import { AppError } from '#shared/protocol/errors.ts';
import type { Picture } from './picture.ts';

/** PNG as https://www.w3.org/TR/png-3/ has it: the pixels by sharp, the text chunks by us. */

/** A text entry of a PNG: keyword (printable Latin-1, 1 to 79 characters) and text. */
export interface PngText {
  keyword: string;
  text: string;
  /** Write a tEXt chunk, the form that most tools write, where the text is Latin-1. Else, and by default, an iTXt chunk. */
  plain?: boolean;
}

/** zlib's scale: 0 stores, 9 is smallest and slowest. */
export type PngCompression = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Signature, then IHDR: length 4, type 4, data 13, CRC 4. */
const AFTER_HEADER = SIGNATURE.length + 25;
const MAX_DECODED_PIXELS = 8192 * 8192;
const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_TEXT_CHUNKS = 64;

/** The picture as PNG bytes with `texts` right behind the header. A NUL in a text, which PNG does not allow, becomes U+FFFD. Throws `RangeError` on a keyword outside PNG's rules. */
export async function encodePng(picture: Picture, texts: readonly PngText[], compression: PngCompression): Promise<Uint8Array> {
  const chunks = texts.map(textChunk);
  const { width, height, data } = picture;
  const image = await sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .png({ compressionLevel: compression, adaptiveFiltering: false, palette: false })
    .toBuffer();
  return Buffer.concat([image.subarray(0, AFTER_HEADER), ...chunks, image.subarray(AFTER_HEADER)]);
}

/**
 * The texts of tEXt, zTXt and iTXt chunks, in the file's order. Throws `AppError` `picture_damaged` on anything that is not a whole PNG:
 * wrong signature, chunk order, length or CRC, text that does not unpack, more than 64 texts or 1 MiB in one.
 */
export function readPngTexts(bytes: Uint8Array): PngText[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw damaged('it does not begin as a PNG does');
  const texts: PngText[] = [];
  let at = SIGNATURE.length;
  for (let count = 0; ; count++) {
    if (at + 12 > file.length) throw damaged(`it ends at byte ${file.length} without an IEND chunk`);
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const end = at + 12 + length;
    if (end > file.length) throw damaged(`the ${JSON.stringify(type)} chunk at byte ${at} claims ${length} bytes, ${file.length - at - 12} are left`);
    const data = file.subarray(at + 8, end - 4);
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4)) throw damaged(`the ${JSON.stringify(type)} chunk at byte ${at} has a wrong CRC`);
    if ((count === 0) !== (type === 'IHDR')) throw damaged(`chunk ${count} is ${JSON.stringify(type)}; IHDR must be the first, and only the first`);
    const text = readTextChunk(type, data);
    if (text !== null) texts.push(text);
    if (texts.length > MAX_TEXT_CHUNKS) throw damaged(`it has more than ${MAX_TEXT_CHUNKS} text chunks`);
    if (type === 'IEND') return texts;
    at = end;
  }
}

/**
 * Reads a PNG file as RGB; gray is widened, alpha and bits beyond 8 are dropped. Throws `AppError` `picture_damaged` where the file is missing, is no PNG,
 * does not decode, or has more than 67,108,864 pixels.
 */
export async function decodePng(path: string): Promise<Picture> {
  try {
    const file = await readFile(path);
    if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw damaged('it does not begin as a PNG does');
    const { data, info } = await sharp(file, { limitInputPixels: MAX_DECODED_PIXELS, failOn: 'warning' })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw damaged(`it decodes to ${info.channels} channels, 3 are needed`);
    return { width: info.width, height: info.height, data };
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw damaged(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function textChunk({ keyword, text, plain }: PngText): Buffer {
  if (!/^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword) || /^ | $| {2}/.test(keyword)) {
    throw new RangeError(`PNG keyword ${JSON.stringify(keyword)}: must be 1 to 79 printable Latin-1 characters without outer or double spaces.`);
  }
  const clean = text.replaceAll('\0', '\ufffd');
  const isLatin1 = /^[^\u{100}-\u{10ffff}]*$/u.test(clean);
  if (plain === true && isLatin1) return chunk('tEXt', Buffer.from(`${keyword}\0${clean}`, 'latin1'));
  // after the keyword: not compressed, method 0, no language tag, no translated keyword
  return chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(clean, 'utf8')]));
}

function chunk(type: string, data: Buffer): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  data.copy(bytes, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

function readTextChunk(type: string, data: Buffer): PngText | null {
  if (type !== 'tEXt' && type !== 'zTXt' && type !== 'iTXt') return null;
  const [keyword, afterKeyword] = readTerminated(type, data, 0, 'latin1');
  if (keyword.length < 1 || keyword.length > 79) throw damaged(`a ${type} chunk has a keyword of ${keyword.length} characters, 1 to 79 are allowed`);
  if (type === 'tEXt') return { keyword, text: bounded(type, data.subarray(afterKeyword)).toString('latin1'), plain: true };
  if (type === 'zTXt') {
    if (data[afterKeyword] !== 0) throw damaged(`the zTXt chunk ${JSON.stringify(keyword)} has compression method ${data[afterKeyword]}, only 0 exists`);
    return { keyword, text: inflate(type, data.subarray(afterKeyword + 1)).toString('latin1'), plain: true };
  }
  const compressed = data[afterKeyword];
  const method = data[afterKeyword + 1];
  if ((compressed !== 0 && compressed !== 1) || method !== 0) {
    throw damaged(`the iTXt chunk ${JSON.stringify(keyword)} has compression flag ${compressed} and method ${method}, 0 or 1 and 0 are allowed`);
  }
  const [, afterLanguage] = readTerminated(type, data, afterKeyword + 2, 'latin1');
  const [, afterTranslated] = readTerminated(type, data, afterLanguage, 'utf8');
  const rest = data.subarray(afterTranslated);
  const utf8 = compressed === 1 ? inflate(type, rest) : bounded(type, rest);
  try {
    return { keyword, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(utf8) };
  } catch (cause) {
    throw damaged(`the iTXt chunk ${JSON.stringify(keyword)} is not UTF-8`, cause);
  }
}

function readTerminated(type: string, data: Buffer, from: number, encoding: 'latin1' | 'utf8'): [text: string, next: number] {
  const end = data.indexOf(0, from);
  if (end === -1) throw damaged(`a ${type} chunk lacks the NUL behind its ${from === 0 ? 'keyword' : 'language or translated keyword'}`);
  return [data.toString(encoding, from, end), end + 1];
}

function bounded(type: string, text: Buffer): Buffer {
  if (text.length > MAX_TEXT_BYTES) throw damaged(`a ${type} chunk has ${text.length} bytes of text, at most ${MAX_TEXT_BYTES} are read`);
  return text;
}

function inflate(type: string, packed: Buffer): Buffer {
  try {
    return inflateSync(packed, { maxOutputLength: MAX_TEXT_BYTES });
  } catch (cause) {
    throw damaged(`a ${type} chunk does not unpack to at most ${MAX_TEXT_BYTES} bytes`, cause);
  }
}

function damaged(what: string, cause?: unknown): AppError<'picture_damaged'> {
  return new AppError('picture_damaged', `The PNG cannot be read: ${what}. Take another copy of the picture or make it again.`, {}, { cause });
}
