import { expect, test } from 'vitest';
import { planTiles } from './tiles.ts';

test.each([
  [256, 256],
  [272, 2048],
  [2048, 256],
  [1040, 720],
  [2048, 2048],
  [1, 1],
])('tiles of %d x %d keep every pixel once and reach into their neighbours by the overlap', (width, height) => {
  const kept = new Uint8Array(width * height);
  for (const { from, keep } of planTiles(width, height, 12, 256 * 256)) {
    for (let y = keep.top; y < keep.top + keep.height; y++)
      for (let x = keep.left; x < keep.left + keep.width; x++) kept[y * width + x] = (kept[y * width + x] ?? 0) + 1;
    expect(keep.left - from.left).toBe(Math.min(12, keep.left));
    expect(keep.top - from.top).toBe(Math.min(12, keep.top));
    expect(from.left + from.width).toBe(Math.min(width, keep.left + keep.width + 12));
    expect(from.top + from.height).toBe(Math.min(height, keep.top + keep.height + 12));
  }
  expect(kept.every((count) => count === 1)).toBe(true);
});
