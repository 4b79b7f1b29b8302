import { expect, test } from 'vitest';
import { expectedMs } from './expected-time.ts';

const measured = [
  { checkpoint: 'a', width: 512, height: 512, steps: 9, generate_ms: 900, upscale_ms: 300, pictures: 3 },
  { checkpoint: 'a', width: 1024, height: 1024, steps: 9, generate_ms: 9000, upscale_ms: null, pictures: 1 },
  { checkpoint: 'b', width: 512, height: 512, steps: 9, generate_ms: 1, upscale_ms: 1, pictures: 1 },
];

test('the expected time is that of the same size, scaled to the steps', () => {
  expect(expectedMs({ checkpoint: 'a', width: 512, height: 512, steps: 9 }, measured)).toBe(1200);
  expect(expectedMs({ checkpoint: 'a', width: 512, height: 512, steps: 18 }, measured)).toBe(2100);
});

test('another size is scaled from the nearest one', () => {
  expect(expectedMs({ checkpoint: 'a', width: 256, height: 512, steps: 9 }, measured)).toBe(600);
  expect(expectedMs({ checkpoint: 'a', width: 1024, height: 2048, steps: 9 }, measured)).toBe(18_000);
});

test('nothing is expected of a model that was never used, or of an invalid size', () => {
  expect(expectedMs({ checkpoint: 'c', width: 512, height: 512, steps: 9 }, measured)).toBeNull();
  expect(expectedMs({ checkpoint: 'a', width: Number.NaN, height: 512, steps: 9 }, measured)).toBeNull();
});
