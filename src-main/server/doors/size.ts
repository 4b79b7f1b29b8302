import { SIZE_UNIT_PX } from '#shared/protocol/messages.ts';

/** The next size that the model can make, from which the asked one is cropped. */
export function modelSize(size: { width: number; height: number }): { width: number; height: number } {
  const up = (side: number): number => Math.ceil(side / SIZE_UNIT_PX) * SIZE_UNIT_PX;
  return { width: up(size.width), height: up(size.height) };
}
