import { expect, test } from 'vitest';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { canny } from './canny.ts';

function drawn(width: number, height: number, gray: (x: number, y: number) => number): RgbImage {
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => gray(Math.floor(i / 3) % width, Math.floor(i / 3 / width))) };
}

/** Columns of the white pixels of a row. */
function edges({ width, data }: RgbImage, y: number): number[] {
  return Array.from({ length: width }, (_, x) => x).filter((x) => data[(y * width + x) * 3] === 255);
}

// cv2.Canny(step, 100, 200): of the two columns beside a step the first is the edge
test('a step is one pixel wide, and black elsewhere', () => {
  const result = canny(drawn(12, 9, (x) => (x < 6 ? 0 : 255)));
  expect(edges(result, 4)).toEqual([5]);
  expect(new Set(result.data)).toEqual(new Set([0, 255]));
});

test('a step of one channel alone is an edge', () => {
  const image = drawn(12, 9, () => 0);
  for (let y = 0; y < 9; y++) for (let x = 6; x < 12; x++) image.data[(y * 12 + x) * 3 + 2] = 255;
  expect(edges(canny(image), 4)).toEqual([5]);
});

test('a weak step is an edge only where it continues a strong one', () => {
  // gradients are four times the step: 160 is between the thresholds, 400 above
  const weak = canny(drawn(12, 9, (x) => (x < 6 ? 0 : 40)));
  expect(weak.data.every((value) => value === 0)).toBe(true);
  const joined = canny(drawn(12, 12, (x, y) => (x < 6 ? 0 : y < 6 ? 100 : 40)));
  expect(edges(joined, 9)).toEqual([5]);
});

test('a flat image has none', () => {
  expect(canny(drawn(8, 8, () => 128)).data.every((value) => value === 0)).toBe(true);
});
