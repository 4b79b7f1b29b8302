import { AppError } from '#shared/protocol/errors.ts';

/** What a picture file says of itself at its beginning. */
export interface PictureHeader {
  format: 'png' | 'jpeg' | 'webp' | 'gif';
  width: number;
  height: number;
}

/** Reads the size out of a PNG, JPEG, WebP or GIF without decoding it. Throws `AppError` `picture_damaged` on anything else. */
export function readPictureHeader(bytes: Uint8Array): PictureHeader {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readPng(file) ?? readGif(file) ?? readWebp(file) ?? readJpeg(file);
  if (header === null || header.width === 0 || header.height === 0) {
    throw new AppError('picture_damaged', 'The body is no picture that can be read; send the bytes of a PNG, JPEG, WebP or GIF file.', {});
  }
  return header;
}

/** Source: https://www.w3.org/TR/png-3/#11IHDR */
function readPng(file: Buffer): PictureHeader | null {
  if (file.length < 24 || file.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') return null;
  return { format: 'png', width: file.readUInt32BE(16), height: file.readUInt32BE(20) };
}

/** Source: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, 18 Logical Screen Descriptor */
function readGif(file: Buffer): PictureHeader | null {
  if (file.length < 10 || !/^GIF8[79]a/.test(file.toString('latin1', 0, 6))) return null;
  return { format: 'gif', width: file.readUInt16LE(6), height: file.readUInt16LE(8) };
}

/** Source: https://developers.google.com/speed/webp/docs/riff_container */
function readWebp(file: Buffer): PictureHeader | null {
  if (file.length < 30 || file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 12) !== 'WEBP') return null;
  const chunk = file.toString('latin1', 12, 16);
  if (chunk === 'VP8X') return { format: 'webp', width: file.readUIntLE(24, 3) + 1, height: file.readUIntLE(27, 3) + 1 };
  // 14 bits each, behind a 3-byte frame tag and a start code
  if (chunk === 'VP8 ') return { format: 'webp', width: file.readUInt16LE(26) & 0x3fff, height: file.readUInt16LE(28) & 0x3fff };
  if (chunk !== 'VP8L' || file[20] !== 0x2f) return null;
  const bits = file.readUInt32LE(21);
  return { format: 'webp', width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

/** Source: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.1.1.3 and B.2.2 */
function readJpeg(file: Buffer): PictureHeader | null {
  if (file.length < 4 || file.readUInt16BE(0) !== 0xffd8) return null;
  for (let at = 2; at + 9 <= file.length; ) {
    if (file[at] !== 0xff) return null;
    const marker = file[at + 1] ?? 0;
    if (marker === 0xff) at++;
    else if (isStartOfFrame(marker)) return { format: 'jpeg', height: file.readUInt16BE(at + 5), width: file.readUInt16BE(at + 7) };
    else at += 2 + file.readUInt16BE(at + 2);
  }
  return null;
}

/** SOF0 to SOF15, but for the three markers among them that are something else: DHT, JPG, DAC. */
function isStartOfFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}
