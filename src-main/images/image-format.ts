import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** The formats that are read, in the words of the API. */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'avif' | 'tiff' | 'gif';

const READABLE = 'PNG, JPEG, WebP, AVIF, TIFF and GIF';

/** First bytes of each format, as Latin-1. Brands distinguish the formats of the HEIF family. */
const signatures: ReadonlyArray<readonly [format: ImageFormat, start: string]> = [
  ['png', '\x89PNG\r\n\x1a\n'],
  ['jpeg', '\xff\xd8\xff'],
  ['gif', 'GIF87a'],
  ['gif', 'GIF89a'],
  ['tiff', 'II*\0'],
  ['tiff', 'MM\0*'],
  ['tiff', 'II+\0'],
  ['tiff', 'MM\0+'],
];

/** Formats that people send and that no build reads, so that the refusal can name them. */
const refusedSignatures: ReadonlyArray<readonly [name: string, start: string]> = [
  ['BMP', 'BM'],
  ['JPEG XL', '\xff\x0a'],
  ['JPEG XL', '\0\0\0\x0cJXL '],
  ['JPEG 2000', '\0\0\0\x0cjP  '],
  ['JPEG 2000', '\xff\x4f\xff\x51'],
  ['Photoshop', '8BPS'],
  ['OpenEXR', 'v/1\x01'],
  ['PDF', '%PDF-'],
  ['ICO', '\0\0\x01\0'],
];

/**
 * Decides the format by the first bytes, never by a name or a content type.
 * Throws `AppError` `unsupported_media_type` for a known format that is not read, `picture_damaged` for bytes that are no known image.
 */
export function imageFormat(bytes: Uint8Array): ImageFormat {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 64)).toString('latin1');
  const known = signatures.find(([, signature]) => start.startsWith(signature));
  if (known) return known[0];
  if (start.startsWith('RIFF') && start.slice(8, 12) === 'WEBP') return 'webp';
  if (start.slice(4, 8) === 'ftyp') return heifFormat(start);
  const refused = refusedSignatures.find(([, signature]) => start.startsWith(signature));
  if (refused) throw unsupportedImage(refused[0]);
  throw new AppError('picture_damaged', `The file starts with ${quoteValue(start.slice(0, 8))}, which no known image format does; send ${READABLE}.`, {});
}

/** A file type box: size, `ftyp`, major brand, version, then compatible brands of four letters each. Source: ISO/IEC 14496-12, 4.3 */
function heifFormat(start: string): ImageFormat {
  const brands = start.slice(8).match(/.{4}/gs) ?? [];
  if (brands.some((brand) => brand === 'avif' || brand === 'avis')) return 'avif';
  throw unsupportedImage(brands.some((brand) => /^(hei|hev|mif1|msf1)/.test(brand)) ? 'HEIC' : `ISO media (${quoteValue(brands[0] ?? '')})`);
}

export function unsupportedImage(name: string): AppError<'unsupported_media_type'> {
  return new AppError('unsupported_media_type', `${name} images are not read; convert the image to one of ${READABLE} and send that.`, {});
}
