import { expect, test } from 'vitest';
import { limits } from './draft.ts';
import { baseSidesPx, presetOf, ratios, sizeFor } from './image-size.ts';

const presets = baseSidesPx.flatMap((base) => ratios.map((ratio) => ({ base, ratio, ...sizeFor(ratio, base) })));

test.each(presets)('$ratio at $base is $width x $height: allowed, and close to its shape', ({ ratio, width, height }) => {
  const [across = 1, down = 1] = ratio.split(':').map(Number);
  for (const side of [width, height]) {
    expect(side % limits.sideUnitPx).toBe(0);
    expect(side).toBeGreaterThanOrEqual(limits.sidePx.min);
    expect(side).toBeLessThanOrEqual(limits.sidePx.max);
  }
  expect(width / height / (across / down)).toBeGreaterThan(0.93);
  expect(width / height / (across / down)).toBeLessThan(1.07);
});

test('every preset has its own size', () => {
  expect(presets.map(({ width, height }) => presetOf({ width, height }))).toEqual(presets.map(({ ratio, base }) => ({ ratio, baseSidePx: base })));
});

test('a free size is no preset', () => {
  expect(presetOf({ width: 272, height: 256 })).toBeNull();
});
