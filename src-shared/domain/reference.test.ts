import { expect, test } from 'vitest';
import { unusableReason, usedPartOf } from './reference.ts';

/** Width and height sent, after scaling, left, top, width and height kept: what diffusers' Flux2ImageProcessor does. */
test.each([
  [64, 64, 64, 64, 0, 0, 64, 64],
  [65, 79, 65, 79, 0, 7, 64, 64],
  [512, 64, 512, 64, 0, 0, 512, 64],
  [1024, 1024, 1024, 1024, 0, 0, 1024, 1024],
  [1025, 1024, 1024, 1023, 0, 7, 1024, 1008],
  [1023, 1025, 1023, 1025, 7, 0, 1008, 1024],
  [1300, 900, 1230, 852, 7, 2, 1216, 848],
  [900, 1300, 852, 1230, 2, 7, 848, 1216],
  [1920, 1080, 1365, 768, 2, 0, 1360, 768],
  [3024, 4032, 886, 1182, 3, 7, 880, 1168],
  [4000, 500, 2896, 362, 0, 5, 2896, 352],
  [1184, 880, 1184, 880, 0, 0, 1184, 880],
])('%i x %i becomes %i x %i, of which the part at %i, %i of %i x %i is kept', (width, height, ...expected) => {
  const { scaled, kept } = usedPartOf({ width, height });
  expect([scaled.width, scaled.height, kept.left, kept.top, kept.width, kept.height]).toEqual(expected);
  expect(unusableReason({ width, height })).toBeNull();
});

test.each([
  [63, 500, 'both sides must have at least 64'],
  [500, 63, 'both sides must have at least 64'],
  [513, 64, 'at most 8 times as long'],
  [64, 513, 'at most 8 times as long'],
])('%i x %i cannot be used', (width, height, reason) => {
  expect(unusableReason({ width, height })).toContain(reason);
});
