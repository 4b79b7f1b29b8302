import { expect, test } from 'vitest';
import { createLatentPreview } from './latent-preview.ts';
import { torchRandn } from './rng.ts';

const CHANNELS = 4;
const SCALE = 2;
const MAP = [
  [0.5, -0.25, 0.125],
  [-0.25, 0.5, 0],
  [0, 0.25, -0.5],
  [0.125, 0, 0.25],
]; // [channels, colors]
const OFFSET = [0.1, -0.2, 0];

/** Latents of a standard deviation of 1/4, and the planes of a decoder that is a linear map, each pixel repeated. */
function sample(height: number, width: number, seed: number) {
  const pixels = height * width;
  const latents = torchRandn(seed, CHANNELS * pixels).map((value) => value / 4);
  const planes = new Float32Array(3 * pixels * SCALE * SCALE);
  for (let color = 0; color < 3; color++) {
    for (let y = 0; y < height * SCALE; y++) {
      for (let x = 0; x < width * SCALE; x++) {
        const pixel = Math.floor(y / SCALE) * width + Math.floor(x / SCALE);
        let value = OFFSET[color] ?? 0;
        for (let channel = 0; channel < CHANNELS; channel++) value += (latents[channel * pixels + pixel] ?? 0) * (MAP[channel]?.[color] ?? 0);
        planes[(color * height * SCALE + y) * width * SCALE + x] = value;
      }
    }
  }
  return { latents, planes };
}

test('finds the map of a decoder that is linear, and paints other latents of another size with it', () => {
  const preview = createLatentPreview(CHANNELS, SCALE);
  const first = sample(12, 10, 1);
  preview.fit(first.latents, first.planes, 12, 10);

  const other = sample(6, 8, 2);
  const image = preview.render(other.latents, 6, 8);
  expect(image).toMatchObject({ width: 8, height: 6 });
  for (let pixel = 0; pixel < 48; pixel++) {
    for (let color = 0; color < 3; color++) {
      const [y, x] = [Math.floor(pixel / 8), pixel % 8];
      const plane = other.planes[(color * 6 + y) * SCALE * 8 * SCALE + x * SCALE] ?? 0;
      const expected = Math.min(255, Math.max(0, (plane / 2 + 0.5) * 255));
      expect(Math.abs((image.data[pixel * 3 + color] ?? 0) - expected)).toBeLessThan(2);
    }
  }
});

test('one flat image is enough to be fitted and gives its color back', () => {
  const preview = createLatentPreview(CHANNELS, SCALE);
  preview.fit(new Float32Array(CHANNELS * 4).fill(0.5), new Float32Array(3 * 16).fill(0), 2, 2);
  const { data } = preview.render(new Float32Array(CHANNELS * 4).fill(0.5), 2, 2);
  for (const value of data) expect(Math.abs(value - 127.5)).toBeLessThan(1);
});

test('a newer image counts more than the older ones', () => {
  const preview = createLatentPreview(CHANNELS, SCALE);
  const latents = new Float32Array(CHANNELS * 4).fill(1);
  for (let round = 0; round < 8; round++) preview.fit(latents, new Float32Array(3 * 16).fill(-1), 2, 2);
  for (let round = 0; round < 8; round++) preview.fit(latents, new Float32Array(3 * 16).fill(1), 2, 2);
  for (const value of preview.render(latents, 2, 2).data) expect(value).toBeGreaterThan(250);
});

test('render before the first fit throws', () => {
  expect(() => createLatentPreview(CHANNELS, SCALE).render(new Float32Array(CHANNELS), 1, 1)).toThrow('no decoded image');
});
