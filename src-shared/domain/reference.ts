/** How an image that the prompt refers to is brought to the size that the model sees. Reference: diffusers 0.42.1, `pipelines/flux2/image_processor.py`. */

export interface Size {
  width: number;
  height: number;
}

/** What is used of an image: its size after scaling, and the rectangle of that which is kept. */
export interface UsedPart {
  scaled: Size;
  kept: Size & { left: number; top: number };
}

/** Images in one edit. */
export const MOST_REFERENCES = 4;
const MOST_PIXELS = 1024 * 1024;
const SHORTEST_SIDE_PX = 64;
const LARGEST_RATIO = 8;
/** Sides are multiples of this in the published models: the pixels of a token. */
const UNIT_PX = 16;

/** Larger images are scaled down to a megapixel, smaller ones stay as they are; then the middle is kept. */
export function usedPartOf({ width, height }: Size, unitPx = UNIT_PX): UsedPart {
  const factor = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const scaled = { width: Math.trunc(width * factor), height: Math.trunc(height * factor) };
  const kept = { width: multipleBelow(scaled.width, unitPx), height: multipleBelow(scaled.height, unitPx) };
  return { scaled, kept: { left: (scaled.width - kept.width) >> 1, top: (scaled.height - kept.height) >> 1, ...kept } };
}

/** Why an image of this size cannot be used, to follow its name in a message; null where it can. */
export function unusableReason({ width, height }: Size): string | null {
  const shortest = Math.min(width, height);
  if (shortest < SHORTEST_SIDE_PX) return `is ${width} x ${height} pixels; both sides must have at least ${SHORTEST_SIDE_PX}`;
  if (Math.max(width, height) > LARGEST_RATIO * shortest)
    return `is ${width} x ${height} pixels; one side may be at most ${LARGEST_RATIO} times as long as the other`;
  return null;
}

function multipleBelow(side: number, unitPx: number): number {
  return Math.floor(side / unitPx) * unitPx;
}
