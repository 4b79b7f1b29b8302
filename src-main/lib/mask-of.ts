import type { RgbImage } from './rgb-image.ts';

/** From here on grey is repainted; up to one below, alpha is. */
const MIDDLE = 128;

/** A mask [height, width], 255 for what is repainted: white, or what is transparent in an image with transparency. */
export function maskOf({ width, height, data, alpha }: RgbImage): { width: number; height: number; data: Uint8Array<ArrayBuffer> } {
  const mask = new Uint8Array(width * height);
  for (let i = 0; i < mask.length; i++) {
    const isRepainted = alpha === undefined ? greyOf(data[3 * i] ?? 0, data[3 * i + 1] ?? 0, data[3 * i + 2] ?? 0) >= MIDDLE : (alpha[i] ?? 0) < MIDDLE;
    if (isRepainted) mask[i] = 255;
  }
  return { width, height, data: mask };
}

/** Luma in fixed point. Source: ITU-R BT.601, as Pillow rounds it. */
function greyOf(red: number, green: number, blue: number): number {
  return (red * 19_595 + green * 38_470 + blue * 7471 + 0x8000) >> 16;
}
