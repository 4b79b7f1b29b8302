/** Aspect ratios, widest last. A size is given as the side of the square with the same number of pixels. */
export const ratios = ['9:16', '2:3', '3:4', '1:1', '4:3', '3:2', '16:9'] as const;
export type Ratio = (typeof ratios)[number];

export const baseSidesPx = [256, 512, 768, 1024] as const;

/** Valid for all checkpoints: Z-Image-Turbo needs multiples of 16, the bundled one of 32. */
const UNIT_PX = 32;
const SHORTEST_PX = 256;
const LONGEST_PX = 2048;
const MOST_LONG = 4;

export interface ImageSize {
  width: number;
  height: number;
}

/** The size of this ratio with about `baseSidePx` squared pixels and no side under 256. */
export function sizeFor(ratio: Ratio, baseSidePx: number): ImageSize {
  const [across = 1, down = 1] = ratio.split(':').map(Number);
  const shape = across / down;
  const shortest = Math.min(baseSidePx * Math.sqrt(shape), baseSidePx / Math.sqrt(shape));
  const scale = Math.max(1, SHORTEST_PX / shortest);
  const round = (sidePx: number) => Math.round(sidePx / UNIT_PX) * UNIT_PX;
  return { width: round(baseSidePx * Math.sqrt(shape) * scale), height: round((baseSidePx / Math.sqrt(shape)) * scale) };
}

/** A size with the shape of an image, about `pixels` large; very long shapes are cut by the server. */
export function sizeLike({ width, height }: ImageSize, pixels: number): ImageSize {
  const shape = Math.min(MOST_LONG, Math.max(1 / MOST_LONG, width / height));
  const side = Math.max(SHORTEST_PX * Math.sqrt(Math.max(shape, 1 / shape)), Math.sqrt(Number.isFinite(pixels) ? pixels : 512 ** 2));
  const round = (sidePx: number) => Math.min(LONGEST_PX, Math.max(SHORTEST_PX, Math.round(sidePx / UNIT_PX) * UNIT_PX));
  return { width: round(side * Math.sqrt(shape)), height: round(side / Math.sqrt(shape)) };
}

/** The preset with exactly this size, or null. */
export function presetOf(size: ImageSize): { ratio: Ratio; baseSidePx: number } | null {
  for (const baseSidePx of baseSidesPx) {
    for (const ratio of ratios) {
      const preset = sizeFor(ratio, baseSidePx);
      if (preset.width === size.width && preset.height === size.height) return { ratio, baseSidePx };
    }
  }
  return null;
}
