import { expect, test } from 'vitest';
import { resize } from './resize.ts';

test('an equal size gives the same bytes', () => {
  const data = Uint8Array.of(1, 200, 3, 40, 5, 6);
  expect(resize(data, { width: 3, height: 2 }, { width: 3, height: 2 }, 1)).toEqual(data);
});

test('one colour stays that colour at any size, each channel for itself', () => {
  const data = Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => [10, 128, 250][i % 3] ?? 0);
  const resized = resize(data, { width: 7, height: 5 }, { width: 16, height: 3 }, 3);
  expect([...resized]).toEqual(Array.from({ length: 16 * 3 * 3 }, (_, i) => [10, 128, 250][i % 3]));
});

test.for([16, 64])('a ramp of 32 pixels stays a ramp at %i, away from its ends', (width) => {
  const ramp = Uint8Array.from({ length: 32 }, (_, x) => 8 * x);
  const resized = resize(ramp, { width: 32, height: 1 }, { width, height: 1 }, 1);
  const scale = 32 / width;
  const middle = Array.from({ length: width / 2 }, (_, i) => i + width / 4);
  for (const x of middle) expect(Math.abs((resized[x] ?? 0) - 8 * ((x + 0.5) * scale - 0.5))).toBeLessThanOrEqual(1);
});
