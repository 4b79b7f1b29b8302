import { expect, test } from 'vitest';
import { pixelsFromPlanes } from './pixels.ts';

test('planes become pixels, rounded and cut', () => {
  const planes = Float32Array.of(0, 1, -0.5, /* green */ 0.25, 2, 0.1, /* blue */ 1, 0.5, 0.002);
  expect([...pixelsFromPlanes(planes, 255, 0)]).toEqual([0, 64, 255, 255, 255, 128, 0, 26, 1]);
});

test('the whole range of a decoder, -1 to 1, fills 0 to 255', () => {
  expect([...pixelsFromPlanes(Float32Array.of(-1, 0, 1), 127.5, 127.5)]).toEqual([0, 128, 255]);
});
