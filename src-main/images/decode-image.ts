import { createHash } from 'node:crypto';
import type { Metadata, Sharp } from 'sharp';
import { maskOf } from '#main/lib/mask-of.ts';
import { encodePng, type PngText } from '#main/lib/png.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { splitAlpha } from '#main/lib/split-alpha.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import { xmpPacket } from '#main/provenance/xmp-packet.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { ImageNotice } from '#shared/protocol/http.ts';
import { MAX_INPUT_PIXELS } from '#shared/protocol/messages.ts';
import { type ImageFormat, imageFormat, unsupportedImage } from './image-format.ts';
import { loadSharp } from './load-sharp.ts';

interface ReadLimits {
  bytes: number;
  pixels: number;
}

const foreignLimits: ReadLimits = { bytes: 256 * 1024 * 1024, pixels: 8192 * 8192 };
const LARGEST_UNMARKED_PX = 512;
/** Of an image made here: the largest one that a job starts from, upscaled 4x. */
const MAX_OWN_PIXELS = 16 * MAX_INPUT_PIXELS;
/** Of what may have been made here: RGB in PNG is hardly ever larger than its pixels. */
export const ownLimits: ReadLimits = { bytes: 3 * MAX_OWN_PIXELS, pixels: MAX_OWN_PIXELS };
/** libvips stops its work after this time; the pool ends a thread that does not. */
const DECODE_TIMEOUT_S = 30;

const sharp = loadSharp();

/** What a file holds, seen upright. */
export interface ImageDescription {
  /** SHA-256 of the file. */
  id: string;
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

/**
 * Reads size and texts, and decodes every pixel once. `png` is the decoded image as a PNG of ours, RGB or RGBA; null for more than `MAX_INPUT_PIXELS`.
 * Throws as `decodeImage`.
 */
export async function importImage(bytes: Uint8Array): Promise<ImageDescription & { png: Uint8Array | null }> {
  const opened = await openImage(bytes, foreignLimits);
  const { format, image, metadata, notices } = opened;
  const { width, height } = metadata.autoOrient;
  const id = createHash('sha256').update(bytes).digest('hex');
  const description = { id, format, width, height, notices, texts: format === 'png' ? readPngTexts(bytes) : [] };
  if (width * height <= MAX_INPUT_PIXELS) {
    const { data, channels } = await pixelsOf(opened);
    return { ...description, png: await encodePng({ width, height, ...(channels === 4 ? splitAlpha(data) : { data }) }, []) };
  }
  // nearest: a row of pixels at a time passes through memory
  await decoding(image.resize({ width: 1, height: 1, fit: 'fill', kernel: 'nearest', fastShrinkOnLoad: false }).raw().toBuffer());
  return { ...description, png: null };
}

/**
 * The one decoder of files from outside.
 * Throws `AppError` `unsupported_media_type` for a format that is not read, `body_too_large` for more than 256 MiB or 67,108,864 pixels unless `limits` are
 * others, `picture_damaged` for a file that is not whole.
 */
export async function decodeImage(bytes: Uint8Array, limits: ReadLimits = foreignLimits): Promise<DecodedImage> {
  const opened = await openImage(bytes, limits);
  return { format: opened.format, notices: opened.notices, ...(await pixelsOf(opened)) };
}

interface OpenedImage {
  format: ImageFormat;
  image: Sharp;
  metadata: Metadata;
  notices: ImageNotice[];
}

async function pixelsOf({ image, metadata }: OpenedImage): Promise<Pick<DecodedImage, 'width' | 'height' | 'channels'> & { data: Uint8Array<ArrayBuffer> }> {
  const upright = image.autoOrient().toColourspace('srgb');
  const { data, info } = await decoding((metadata.hasAlpha ? upright.ensureAlpha() : upright.removeAlpha()).raw().toBuffer({ resolveWithObject: true }));
  return {
    width: info.width,
    height: info.height,
    channels: metadata.hasAlpha ? 4 : 3,
    data: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
  };
}

async function openImage(bytes: Uint8Array, limits: ReadLimits): Promise<OpenedImage> {
  if (bytes.byteLength > limits.bytes) {
    throw new AppError('body_too_large', `The image has ${bytes.byteLength} bytes; at most ${limits.bytes} are read.`, { limit: limits.bytes });
  }
  const format = imageFormat(bytes);
  // 'error', not 'warning': a bad checksum in an unused chunk is no damage. The pixel limit follows below, with a message of its own
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: false, sequentialRead: true }).timeout({ seconds: DECODE_TIMEOUT_S });
  const metadata = await decoding(image.metadata());
  const { width, height } = metadata;
  if (width * height > limits.pixels) {
    throw new AppError('body_too_large', `The image has ${width} x ${height} pixels; at most ${limits.pixels} in all are read. Make it smaller.`, {
      limit: limits.pixels,
    });
  }
  if (metadata.compression === 'hevc') throw unsupportedImage('HEIC');
  const notices: ImageNotice[] = [];
  if ((metadata.pages ?? 1) > 1) notices.push('first_frame_only');
  if (metadata.space === 'cmyk') notices.push('converted_from_cmyk');
  if (metadata.depth !== 'uchar') notices.push('reduced_to_8_bits');
  return { format, image, metadata, notices };
}

/** Whether the PNG of ours at `path` repaints anything as a mask. */
export async function repaintsAnything(path: string): Promise<boolean> {
  return maskOf(await decodePng(path)).data.includes(255);
}

export interface ThumbnailRequest {
  path: string;
  width: number;
  /** Whether one that is wider than 512 pixels gets the marks of an AI image. */
  isMarked: boolean;
}

/** Encodes a thumbnail of one of our own images: WebP, `width` pixels wide, or narrower if the image is. Throws `picture_damaged`. */
export async function encodeThumbnail({ path, width, isMarked }: ThumbnailRequest): Promise<Uint8Array> {
  const image = sharp(path, { failOn: 'error', limitInputPixels: MAX_OWN_PIXELS, sequentialRead: true }).timeout({ seconds: DECODE_TIMEOUT_S });
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
