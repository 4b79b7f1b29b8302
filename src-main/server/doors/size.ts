import { SIZE_UNIT_PX } from '#shared/protocol/messages.ts';

export interface Size {
  width: number;
  height: number;
}

/** A side of what the model makes best. */
export const AUTO_SIZE_PX = 1024;
export const MIN_SIDE_PX = 256;
export const MAX_SIDE_PX = 2048;

/** The next size that the model can make, from which the asked one is cropped. */
export function modelSize(size: Size): Size {
  const up = (side: number): number => Math.ceil(side / SIZE_UNIT_PX) * SIZE_UNIT_PX;
  return { width: up(size.width), height: up(size.height) };
}

/** The size of an image; of a large one, a size in its proportions that the model makes in reasonable time. */
export function ownSize({ width, height }: Size): Size {
  const isPossible = Math.min(width, height) >= MIN_SIDE_PX && Math.max(width, height) <= MAX_SIDE_PX;
  if (isPossible && width * height <= AUTO_SIZE_PX ** 2) return { width, height };
  const scale = Math.min(1, AUTO_SIZE_PX / Math.sqrt(width * height));
  const side = (length: number): number => Math.min(MAX_SIDE_PX, Math.max(MIN_SIDE_PX, Math.round((length * scale) / SIZE_UNIT_PX) * SIZE_UNIT_PX));
  return { width: side(width), height: side(height) };
}
