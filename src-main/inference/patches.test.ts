import { expect, test } from 'vitest';
import { patchify, unpatchify } from './patches.ts';

test('a patch holds rows, columns, channels in this order', () => {
  // two channels of 2 x 4 pixels: channel 0 counts from 0, channel 1 from 100
  const latents = Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 103, 104, 105, 106, 107]);
  expect([...patchify(latents, 2, 2, 4, 2)]).toEqual([0, 100, 1, 101, 4, 104, 5, 105, 2, 102, 3, 103, 6, 106, 7, 107]);
});

test('unpatchify undoes patchify', () => {
  const latents = Float32Array.from({ length: 3 * 6 * 8 }, (_, i) => i);
  expect(unpatchify(patchify(latents, 3, 6, 8, 2), 3, 6, 8, 2)).toEqual(latents);
});
