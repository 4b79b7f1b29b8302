import { torchRandn } from '#main/inference/rng.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';

/** An image with flat parts, soft and hard edges and fine grain, the same at every call. */
export function testImage(width: number, height: number): RgbImage {
  const grain = torchRandn(1, width * height);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inDisc = Math.hypot(x - width / 2, y - height / 2) < Math.min(width, height) / 3;
      for (let color = 0; color < 3; color++) {
        const soft = 128 + 80 * Math.sin(x / (17 + 9 * color)) * Math.cos(y / (23 - 5 * color));
        const value = inDisc ? 255 - soft : soft;
        data[(y * width + x) * 3 + color] = Math.min(255, Math.max(0, Math.round(value + 4 * (grain[y * width + x] ?? 0))));
      }
    }
  }
  return { width, height, data };
}
