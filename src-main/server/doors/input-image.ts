import { readFile } from 'node:fs/promises';
import type { Images } from '#main/images/images.ts';
import type { KeptImage, Uploads } from '#main/images/uploads.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { imageHashSchema } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { MAX_INPUT_PIXELS } from '#shared/protocol/messages.ts';

/** The largest body of a call that brings images. */
export const MAX_IMAGE_BODY_BYTES = 64 * 1024 * 1024;

export interface InputParts {
  jobs: Jobs;
  images: Images;
  uploads: Uploads;
}

type Pixels = Awaited<ReturnType<Images['decode']>>;

/** The bytes of a data URI, or null for another text. */
export function dataUriBytes(text: string): Buffer | null {
  const comma = text.indexOf(',');
  return /^data:[^,]*;base64$/i.test(text.slice(0, comma)) ? Buffer.from(text.slice(comma + 1), 'base64') : null;
}

/**
 * Keeps an image of a request for its jobs. `source` is a file, or text: a data URI, the address or the file name of an image made here, or the id of an
 * upload. Foreign addresses are never fetched. Throws `unknown_image`, `bad_param` and what the decoder of uploads throws.
 */
export async function keepInput(source: Uint8Array | string, field: string, parts: InputParts): Promise<KeptImage> {
  const kept = typeof source === 'string' ? await keepNamed(source, field, parts) : (await parts.uploads.add(source)).image;
  if (kept !== null) return kept;
  throw new AppError('bad_param', `${field} has too many pixels; an image that a job starts from has at most ${MAX_INPUT_PIXELS}.`, { field });
}

async function keepNamed(text: string, field: string, { jobs, uploads }: InputParts): Promise<KeptImage | null> {
  const bytes = dataUriBytes(text);
  if (bytes !== null) return (await uploads.add(bytes)).image;
  const upload = imageHashSchema.safeParse(text).success ? await uploads.find(text) : null;
  if (upload !== null) return upload;
  const path = await jobs.imageFile(filenameOf(text));
  if (path !== null) return uploads.addFile(path);
  const message = `${field} is ${quoteValue(text)}; it must be an image file, a data URI with base64, the id of an upload, or the file name of an image made here.`;
  throw new AppError('unknown_image', message, { field });
}

/** Of an address of this server only the name counts, so nothing is asked of whatever host stands in it. */
function filenameOf(text: string): string {
  const [, name = text] = /\/api\/image\/([^/?#]+)$/.exec(text) ?? [];
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // not percent-encoded, so it is the name
  }
}

/**
 * The image in a size that the model can make: rows and columns of its edges are repeated on the right and below, and are cropped from the result. What is
 * not repainted then keeps its pixels, which scaling would blur.
 */
export async function paddedInput(kept: KeptImage, size: { width: number; height: number }, parts: InputParts): Promise<KeptImage> {
  if (kept.width === size.width && kept.height === size.height) return kept;
  const { channels, data, width, height } = await parts.images.decode(await readFile(kept.path));
  const rowBytes = size.width * channels;
  const padded = new Uint8Array(rowBytes * size.height);
  for (let y = 0; y < size.height; y++) {
    const start = Math.min(y, height - 1) * width * channels;
    const row = data.subarray(start, start + width * channels);
    padded.set(row, y * rowBytes);
    for (let x = width; x < size.width; x++) padded.set(row.subarray(-channels), y * rowBytes + x * channels);
  }
  return keepPixels({ ...size, channels, data: padded }, parts);
}

/** A mask of AUTOMATIC1111's kind: white is repainted, or what is opaque where the mask has transparency; the other way round with `isInverted`. */
export async function keepOpaqueMask(bytes: Uint8Array, isInverted: boolean, parts: InputParts): Promise<KeptImage> {
  const { width, height, channels, data } = await parts.images.decode(bytes);
  const isTransparent = channels === 4 && data.some((value, at) => at % 4 === 3 && value !== 255);
  const mask = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    const [red = 0, green = 0, blue = 0, alpha = 255] = data.subarray(at * channels, (at + 1) * channels);
    const isMarked = isTransparent ? alpha > 128 : red + green + blue >= 3 * 128;
    if (isMarked !== isInverted) mask.fill(255, at * 3, at * 3 + 3);
  }
  return keepPixels({ width, height, channels: 3, data: mask }, parts);
}

async function keepPixels(image: Pick<Pixels, 'width' | 'height' | 'channels' | 'data'>, parts: InputParts): Promise<KeptImage> {
  return keepInput(await parts.images.encode({ image, format: 'png', quality: 100 }), 'image', parts);
}
