import { expect, test } from 'vitest';
import { latentMask } from './image-latents.ts';

test('a latent pixel is repainted where any of its pixels is, or where its first one is if the mask is sampled', () => {
  const mask = new Uint8Array(8 * 4);
  mask[3 * 8 + 2] = 128; // in the first block, not its corner
  mask[4] = 255; // the corner of the second block
  mask[5] = 127;
  expect([...latentMask(mask, 2, 1, 4, false)]).toEqual([1, 1]);
  expect([...latentMask(mask, 2, 1, 4, true)]).toEqual([0, 1]);
});
