import { crc32, inflateSync } from 'node:zlib';
import { AppError } from '#shared/protocol/errors.ts';
import type { Picture } from './picture.ts';
import { packRows } from './png-rows.ts';

/** PNG as https://www.w3.org/TR/png-3/ has it: chunks and texts here, rows of pixels in png-rows.ts. */

/** A text entry of a PNG: keyword (printable Latin-1, 1 to 79 characters) and text. */
export interface PngText {
  keyword: string;
  text: string;
  /** Write a tEXt chunk, the form that most tools write, where the text is Latin-1. Else, and by default, an iTXt chunk. */
  plain?: boolean;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_TEXT_CHUNKS = 64;

/** The picture as PNG bytes with `texts` right behind the header. A NUL in a text, which PNG does not allow, becomes U+FFFD. Throws `RangeError` on a keyword outside PNG's rules. */
export async function encodePng(picture: Picture, texts: readonly PngText[]): Promise<Uint8Array> {
  const chunks = texts.flatMap(textChunk);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(picture.width, 0);
  header.writeUInt32BE(picture.height, 4);
  // 8 bits a channel, RGB; compression, filter method and interlace are 0
  header.set([8, 2], 8);
  const pixels = (await packRows(picture)).flatMap((piece) => chunk('IDAT', piece));
  return Buffer.concat([SIGNATURE, ...chunk('IHDR', header), ...chunks, ...pixels, ...chunk('IEND', Buffer.alloc(0))]);
}

/**
 * The texts of tEXt, zTXt and iTXt chunks, in the file's order. Throws `AppError` `picture_damaged` on anything that is not a whole PNG:
 * wrong signature, chunk order, length or CRC, text that does not unpack, more than 64 texts or 1 MiB in one.
 */
export function readPngTexts(bytes: Uint8Array): PngText[] {
  const texts: PngText[] = [];
  for (const { type, data } of pngChunks(bytes)) {
    const text = readTextChunk(type, data);
    if (text !== null) texts.push(text);
    if (texts.length > MAX_TEXT_CHUNKS) throw damaged(`it has more than ${MAX_TEXT_CHUNKS} text chunks`);
  }
  return texts;
}

/** The chunks of a whole PNG from IHDR to IEND, each with its CRC checked when it is reached. Throws `picture_damaged`. */
export function* pngChunks(bytes: Uint8Array): Generator<{ type: string; data: Buffer }> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw damaged('it does not begin as a PNG does');
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
    yield { type, data };
    if (type === 'IEND') return;
    at = end;
  }
}

function textChunk({ keyword, text, plain }: PngText): Uint8Array[] {
  if (!/^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword) || /^ | $| {2}/.test(keyword)) {
    throw new RangeError(`PNG keyword ${JSON.stringify(keyword)}: must be 1 to 79 printable Latin-1 characters without outer or double spaces.`);
  }
  const clean = text.replaceAll('\0', '\ufffd');
  const isLatin1 = /^[^\u{100}-\u{10ffff}]*$/u.test(clean);
  if (plain === true && isLatin1) return chunk('tEXt', Buffer.from(`${keyword}\0${clean}`, 'latin1'));
  // after the keyword: not compressed, method 0, no language tag, no translated keyword
  return chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(clean, 'utf8')]));
}

/** Its parts in the file's order; `data` is among them as it is, so that pixels are copied only once, into the whole file. */
function chunk(type: string, data: Uint8Array): Uint8Array[] {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length, 0);
  head.write(type, 4, 'latin1');
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(data, crc32(head.subarray(4))), 0);
  return [head, data, check];
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

export function damaged(what: string, cause?: unknown): AppError<'picture_damaged'> {
  return new AppError('picture_damaged', `The PNG cannot be read: ${what}. Take another copy of the picture or make it again.`, {}, { cause });
}
