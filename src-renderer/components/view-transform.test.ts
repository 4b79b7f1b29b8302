import { expect, test } from 'vitest';
import { fitInto } from './box-size.ts';
import { centered, clampView, zoomAt } from './view-transform.ts';

test('zooming keeps the point under the pointer', () => {
  const at = { x: 100, y: -40 };
  const before = { scale: 2, x: 30, y: 10 };
  const after = zoomAt(before, 1.7, at, 10);
  // the image's own coordinate under the pointer, in fitted pixels from its centre
  expect((at.x - after.x) / after.scale).toBeCloseTo((at.x - before.x) / before.scale, 9);
  expect((at.y - after.y) / after.scale).toBeCloseTo((at.y - before.y) / before.scale, 9);
});

test('the scale is limited to the fitted and the largest size', () => {
  expect(zoomAt(centered, 0.2, { x: 5, y: 5 }, 8).scale).toBe(1);
  expect(zoomAt(centered, 100, { x: 5, y: 5 }, 8).scale).toBe(8);
});

test('panning stops at the edges of a large image, and a small one stays centred', () => {
  const fit = { width: 400, height: 200 };
  const box = { width: 400, height: 300 };
  expect(clampView({ scale: 2, x: 999, y: 999 }, fit, box)).toEqual({ scale: 2, x: 200, y: 50 });
  expect(clampView({ scale: 1, x: 50, y: -50 }, fit, box)).toMatchObject({ x: 0 });
});

test.each([
  [
    { width: 800, height: 600 },
    { width: 256, height: 256 },
    { width: 600, height: 600 },
  ],
  [
    { width: 300, height: 900 },
    { width: 512, height: 256 },
    { width: 300, height: 150 },
  ],
])('fits into %j an image of %j', (box, shape, expected) => {
  expect(fitInto(box, shape)).toEqual(expected);
});
