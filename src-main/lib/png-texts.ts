import { crc32, inflateSync } from 'node:zlib';
import { PNG_SIGNATURE, type PngText } from './png.ts';

/** Limits for files of other programs: their workflows are large, but a decompressed text must not fill the memory. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const MAX_TEXTS = 1000;
const textTypes: ReadonlySet<string> = new Set(['tEXt', 'zTXt', 'iTXt']);

/**
 * Reads the texts of tEXt, zTXt and iTXt chunks in file order; 16 MiB and 1,000 texts at most.
 * Skips a text that is damaged or too large, because the image itself may be fine: whether the pixels can be read is the decoder's question. Never throws.
 */
export function readPngTexts(bytes: Uint8Array): PngText[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: PngText[] = [];
  if (!file.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) return texts;
  let bytesLeft = MAX_TEXT_BYTES;
  for (let at = PNG_SIGNATURE.length; at + 12 <= file.length && texts.length < MAX_TEXTS; ) {
    const end = at + 12 + file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    if (type === 'IEND' || end > file.length) break;
    if (textTypes.has(type) && crc32(file.subarray(at + 4, end - 4)) === file.readUInt32BE(end - 4)) {
      const text = readText(type, file.subarray(at + 8, end - 4), bytesLeft);
      if (text !== null) {
        texts.push(text);
        bytesLeft -= text.text.length;
      }
    }
    at = end;
  }
  return texts;
}

/** Null if the chunk does not follow https://www.w3.org/TR/png-3/#11textinfo or has more than `maxBytes` of text. */
function readText(type: string, data: Buffer, maxBytes: number): PngText | null {
  const keywordEnd = data.indexOf(0);
  if (keywordEnd < 1 || keywordEnd > 79) return null;
  const keyword = data.toString('latin1', 0, keywordEnd);
  const rest = data.subarray(keywordEnd + 1);
  if (type === 'tEXt') return textOf(keyword, rest, maxBytes, true);
  if (type === 'zTXt') return rest[0] === 0 ? textOf(keyword, inflate(rest.subarray(1), maxBytes), maxBytes, true) : null;
  const [isCompressed, method] = rest;
  const languageEnd = rest.indexOf(0, 2);
  const translatedEnd = languageEnd === -1 ? -1 : rest.indexOf(0, languageEnd + 1);
  if (translatedEnd === -1 || (isCompressed !== 0 && isCompressed !== 1) || method !== 0) return null;
  const text = rest.subarray(translatedEnd + 1);
  return textOf(keyword, isCompressed === 1 ? inflate(text, maxBytes) : text, maxBytes, false);
}

/** @param plain True for tEXt and zTXt: Latin-1 by the standard, but many programs write UTF-8 into them. */
function textOf(keyword: string, bytes: Buffer | null, maxBytes: number, plain: boolean): PngText | null {
  if (bytes === null || bytes.length > maxBytes) return null;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return plain ? { keyword, text, plain } : { keyword, text };
  } catch {
    // not UTF-8: Latin-1 in a plain chunk, damage in an international one
    return plain ? { keyword, text: bytes.toString('latin1'), plain } : null;
  }
}

function inflate(packed: Buffer, maxBytes: number): Buffer | null {
  try {
    return inflateSync(packed, { maxOutputLength: Math.max(1, maxBytes) });
  } catch {
    // damaged, or larger than `maxBytes` when decompressed
    return null;
  }
}
