import type { ImageSource } from '#main/provenance/verify-image.ts';
import { decodeImage, ownLimits } from './decode-image.ts';
import { bytesOf, planesOf } from './inspect-image.ts';

/** The largest difference of a channel in levels of 8 bits, and the PSNR in dB (infinite for equal images); null where the sizes differ. Throws as `inspectImage`. */
export async function compareImages([one, other]: readonly [ImageSource, ImageSource]): Promise<{ maxLevels: number; psnrDb: number } | null> {
  const [a, b] = [await decodeImage(await bytesOf(one), ownLimits), await decodeImage(await bytesOf(other), ownLimits)];
  if (a.width !== b.width || a.height !== b.height) return null;
  const [left, right] = [planesOf(a), planesOf(b)];
  const opaque = new Uint8Array(a.width * a.height).fill(255);
  const planes = [[left.data, right.data], ...(left.alpha || right.alpha ? [[left.alpha ?? opaque, right.alpha ?? opaque]] : [])];
  let [maxLevels, squares, count] = [0, 0, 0];
  for (const [before = opaque, now = opaque] of planes) {
    for (let i = 0; i < before.length; i++) {
      const difference = Math.abs((before[i] ?? 0) - (now[i] ?? 0));
      if (difference > maxLevels) maxLevels = difference;
      squares += difference * difference;
    }
    count += before.length;
  }
  return { maxLevels, psnrDb: 10 * Math.log10((255 * 255 * count) / squares) };
}
