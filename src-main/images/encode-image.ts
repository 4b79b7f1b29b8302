import { encodePng } from '#main/lib/png.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { ExportFormat } from '#shared/protocol/http.ts';
import type { DecodedImage } from './decode-image.ts';
import { loadSharp } from './load-sharp.ts';

export interface EncodeRequest {
  image: Pick<DecodedImage, 'width' | 'height' | 'channels' | 'data'>;
  format: ExportFormat;
  /** 1 to 100, for JPEG and WebP. */
  quality: number;
  /** The size to scale to; the image's own without it. */
  resize?: { width: number; height: number } | null;
}

/** Sides in pixels that each format can hold. */
const maxSides: Record<ExportFormat, number> = { png: 2 ** 31 - 1, jpeg: 65_535, webp: 16_383 };

const sharp = loadSharp();

/** Encodes pixels as a file without any metadata. JPEG has no transparency: it gets a white background. Throws `bad_param` `format` if a side is too long for it. */
export async function encodeImage({ image, format, quality, resize = null }: EncodeRequest): Promise<Uint8Array> {
  const { width, height, channels, data } = image;
  const size = resize ?? { width, height };
  assertSidesFit(format, size.width, size.height);
  const isScaled = size.width !== width || size.height !== height;
  // three times as fast as libpng, and smaller
  if (format === 'png' && channels === 3 && !isScaled) return encodePng({ width, height, data: new Uint8Array(data) }, []);
  const source = sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
  if (isScaled) source.resize({ ...size, fit: 'fill' });
  if (format === 'png') return source.png().toBuffer();
  if (format === 'webp') return source.webp({ quality }).toBuffer();
  return source.flatten({ background: 'white' }).jpeg({ quality, mozjpeg: true }).toBuffer();
}

/** Throws `bad_param` `format`. */
export function assertSidesFit(format: ExportFormat, width: number, height: number): void {
  const maxSide = maxSides[format];
  if (Math.max(width, height) <= maxSide) return;
  throw new AppError('bad_param', `format is ${format}, which holds at most ${maxSide} pixels a side; the image has ${width} x ${height}. Take png.`, {
    field: 'format',
  });
}
