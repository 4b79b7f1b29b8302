import type { Metadata, Sharp } from 'sharp';
import type { PngText } from '#main/lib/png.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import { xmpPacket } from '#main/provenance/xmp-packet.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { ImageNotice } from '#shared/protocol/http.ts';
import { type ImageFormat, imageFormat, unsupportedImage } from './image-format.ts';
import { loadSharp } from './load-sharp.ts';

const MAX_IMAGE_BYTES = 256 * 1024 * 1024;
const MAX_IMAGE_PIXELS = 8192 * 8192;
const LARGEST_UNMARKED_PX = 512;
/** libvips stops its work after this time; the pool ends a thread that does not. */
const DECODE_TIMEOUT_S = 30;

const sharp = loadSharp();

/** What a file holds, seen upright. */
export interface ImageDescription {
  format: ImageFormat;
  width: number;
  height: number;
  /** What of the file is not in the decoded image. */
  notices: ImageNotice[];
  /** Texts of a PNG; empty for other formats. */
  texts: PngText[];
}

/** Pixels in sRGB, 8 bits a channel, upright: [height, width, channels], 4 channels only if the file has transparency. Nothing else of the file is kept. */
export interface DecodedImage {
  format: ImageFormat;
  width: number;
  height: number;
  channels: 3 | 4;
  notices: ImageNotice[];
  data: Uint8Array;
}

/** Reads size and texts, and every pixel once, so that what is described can also be decoded. Throws as `decodeImage`. */
export async function describeImage(bytes: Uint8Array): Promise<ImageDescription> {
  const { format, image, metadata, notices } = await openImage(bytes);
  // nearest: a row of pixels at a time passes through memory
  await decoding(image.resize({ width: 1, height: 1, fit: 'fill', kernel: 'nearest', fastShrinkOnLoad: false }).raw().toBuffer());
  const { width, height } = metadata.autoOrient;
  return { format, width, height, notices, texts: format === 'png' ? readPngTexts(bytes) : [] };
}

/**
 * The one decoder of files from outside.
 * Throws `AppError` `unsupported_media_type` for a format that is not read, `body_too_large` for more than 256 MiB or 67,108,864 pixels,
 * `picture_damaged` for a file that is not whole.
 */
export async function decodeImage(bytes: Uint8Array): Promise<DecodedImage> {
  const { format, image, metadata, notices } = await openImage(bytes);
  const upright = image.autoOrient().toColourspace('srgb');
  const { data, info } = await decoding((metadata.hasAlpha ? upright.ensureAlpha() : upright.removeAlpha()).raw().toBuffer({ resolveWithObject: true }));
  return { format, width: info.width, height: info.height, channels: metadata.hasAlpha ? 4 : 3, notices, data };
}

async function openImage(bytes: Uint8Array): Promise<{ format: ImageFormat; image: Sharp; metadata: Metadata; notices: ImageNotice[] }> {
  if (bytes.byteLength > MAX_IMAGE_BYTES) {
    throw new AppError('body_too_large', `The image has ${bytes.byteLength} bytes; at most ${MAX_IMAGE_BYTES} are read.`, { limit: MAX_IMAGE_BYTES });
  }
  const format = imageFormat(bytes);
  // 'error', not 'warning': a bad checksum in an unused chunk is no damage. The pixel limit follows below, with a message of its own
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: false, sequentialRead: true }).timeout({ seconds: DECODE_TIMEOUT_S });
  const metadata = await decoding(image.metadata());
  const { width, height } = metadata;
  if (width * height > MAX_IMAGE_PIXELS) {
    throw new AppError('body_too_large', `The image has ${width} x ${height} pixels; at most ${MAX_IMAGE_PIXELS} in all are read. Make it smaller.`, {
      limit: MAX_IMAGE_PIXELS,
    });
  }
  if (metadata.compression === 'hevc') throw unsupportedImage('HEIC');
  const notices: ImageNotice[] = [];
  if ((metadata.pages ?? 1) > 1) notices.push('first_frame_only');
  if (metadata.space === 'cmyk') notices.push('converted_from_cmyk');
  if (metadata.depth !== 'uchar') notices.push('reduced_to_8_bits');
  return { format, image, metadata, notices };
}

export interface ThumbnailRequest {
  path: string;
  width: number;
  /** Whether one that is wider than 512 pixels gets the marks of an AI image. */
  isMarked: boolean;
}

/** Encodes a thumbnail of one of our own images: WebP, `width` pixels wide, or narrower if the image is. Throws `picture_damaged`. */
export async function encodeThumbnail({ path, width, isMarked }: ThumbnailRequest): Promise<Uint8Array> {
  const image = sharp(path, { failOn: 'error', limitInputPixels: MAX_IMAGE_PIXELS, sequentialRead: true }).timeout({ seconds: DECODE_TIMEOUT_S });
  const recipe = isMarked && width > LARGEST_UNMARKED_PX ? await readRecipe(path) : null;
  if (recipe !== null) image.withXmp(xmpPacket(recipe));
  return decoding(image.resize({ width, withoutEnlargement: true }).webp({ quality: 80, effort: 2 }).toBuffer());
}

/** sharp's errors carry no code, and every one of them here means that the bytes cannot be decoded. */
export async function decoding<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new AppError('picture_damaged', `The image cannot be decoded (${reason}). Use another copy of the image or generate it again.`, {}, { cause });
  }
}
