import { expect, test } from 'vitest';
import { assertFinite, assertLatents, assertNotFlat } from './validate-latents.ts';

const noise = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i * 12.9898) * 2);

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('one latent of %d fails the step', (value) => {
  const latents = noise.slice();
  latents[1000] = value;
  expect(() => assertLatents(latents, 3)).toThrow(expect.objectContaining({ code: 'latents_not_finite', data: { step: 3 } }));
});

test.each([
  ['all zero', noise.map(() => 0)],
  ['all alike', noise.map(() => 5)],
  ['nearly alike', noise.map((v) => 5 + v * 1e-4)],
  ['exploded', noise.map((v) => v * 1e6)],
])('%s latents fail the step', (_, latents) => {
  expect(() => assertLatents(latents, 1)).toThrow(expect.objectContaining({ code: 'latents_collapsed' }));
});

test('healthy latents pass', () => {
  expect(() => assertLatents(noise, 1)).not.toThrow();
});

test('a decoded value that is no number is found', () => {
  expect(() => assertFinite(noise)).not.toThrow();
  expect(() => assertFinite(Float32Array.of(0, Number.NaN))).toThrow(expect.objectContaining({ code: 'picture_not_finite' }));
});

test('one flat colour is no image; one brighter corner is', () => {
  const data = new Uint8Array(16 * 16 * 3).fill(7);
  expect(() => assertNotFlat({ width: 16, height: 16, data })).toThrow(expect.objectContaining({ code: 'picture_flat' }));
  data[100] = 40;
  expect(() => assertNotFlat({ width: 16, height: 16, data })).not.toThrow();
});
