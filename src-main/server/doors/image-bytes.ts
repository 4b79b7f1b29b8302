import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Images } from '#main/images/images.ts';

type DecodedImage = Awaited<ReturnType<Images['decode']>>;

/** How a client wants an image. */
export interface Delivery {
  format: 'png' | 'jpeg' | 'webp';
  /** 1 to 100, for JPEG and WebP. */
  quality: number;
  /** The size that was asked for, if the file is larger. */
  crop: { width: number; height: number } | null;
  /** The size that the image is scaled to, if the file has another one. */
  resize?: { width: number; height: number } | null;
}

/** Divides by 3, so that each part becomes base64 without padding. */
const PART_BYTES = 48 * 1024;

/** The base64 of an image file in parts, so that slow readers cost no memory. A PNG in its own size keeps its bytes, recipe included. */
export async function* base64Image(path: string, images: Images, { format, quality, crop, resize = null }: Delivery): AsyncGenerator<string> {
  if (format !== 'png' || crop !== null || resize !== null) {
    const image = await images.decode(await readFile(path));
    const bytes = await images.encode({ image: crop === null ? image : cropped(image, crop), format, quality, resize });
    yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    return;
  }
  let rest = Buffer.alloc(0);
  for await (const part of createReadStream(path, { highWaterMark: PART_BYTES })) {
    const bytes = Buffer.concat([rest, part as Buffer]);
    const whole = bytes.length - (bytes.length % 3);
    yield bytes.toString('base64', 0, whole);
    rest = bytes.subarray(whole);
  }
  yield rest.toString('base64');
}

/** The top left part. */
function cropped(
  { width, channels, data }: DecodedImage,
  size: { width: number; height: number },
): Pick<DecodedImage, 'width' | 'height' | 'channels' | 'data'> {
  const rowBytes = size.width * channels;
  const rows = new Uint8Array(rowBytes * size.height);
  for (let y = 0; y < size.height; y++) rows.set(data.subarray(y * width * channels, y * width * channels + rowBytes), y * rowBytes);
  return { ...size, channels, data: rows };
}
