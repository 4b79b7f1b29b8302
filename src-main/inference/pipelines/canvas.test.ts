import { expect, test } from 'vitest';
import type { RepaintMask } from '#main/lib/image-inputs.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { createCanvas } from './canvas.ts';

/** Each pixel another colour. */
function image(width: number, height: number): RgbImage {
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 251) };
}

function plain(width: number, height: number, value: number): RgbImage {
  return { width, height, data: new Uint8Array(width * height * 3).fill(value) };
}

/** White in `left <= x < right`, `top <= y < bottom`. */
function mask(width: number, height: number, [left, top, right, bottom]: readonly number[]): NonNullable<RepaintMask['mask']> {
  const isInside = (at: number): boolean => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return x >= (left ?? 0) && x < (right ?? 0) && y >= (top ?? 0) && y < (bottom ?? 0);
  };
  return { width, height, data: Uint8Array.from({ length: width * height }, (_, at) => (isInside(at) ? 255 : 0)) };
}

const repaint: RepaintMask = { mask: null, expand: null, onlyMasked: null, featherPx: 0, composite: true };
const red = ({ width, data }: RgbImage, x: number, y: number): number => data[(y * width + x) * 3] ?? -1;
const size = { width: 32, height: 32 };

test('a source of the right size is taken as it is', () => {
  const source = image(32, 32);
  const canvas = createCanvas({ image: source, strength: 1, fit: 'cover' }, undefined, size, size);
  expect(canvas.image.data).toEqual(source.data);
  expect(canvas.mask).toBeNull();
});

test('an image whose size cannot be generated is centred in a larger one, its edges repeated, and is cut out again', () => {
  const source = image(30, 32);
  const canvas = createCanvas({ image: source, strength: 1, fit: 'cover' }, undefined, { width: 30, height: 32 }, size);
  expect([0, 1, 2].map((x) => red(canvas.image, x, 5))).toEqual([red(source, 0, 5), red(source, 0, 5), red(source, 1, 5)]);
  expect(canvas.finish(canvas.image)).toEqual(source);
});

test('cover cuts two edges, stretch none, and contain has bars of the colour of the edge', () => {
  const source = plain(64, 32, 90);
  for (let y = 0; y < 32; y++) for (let x = 0; x < 8; x++) source.data.fill(200, (y * 64 + x) * 3, (y * 64 + x) * 3 + 3);
  const fitted = (fit: 'cover' | 'contain' | 'stretch') => createCanvas({ image: source, strength: 1, fit }, undefined, size, size).image;
  expect(red(fitted('cover'), 0, 16)).toBe(90);
  expect(red(fitted('stretch'), 0, 16)).toBeGreaterThan(190);
  const contained = fitted('contain');
  expect([red(contained, 1, 16), red(contained, 20, 16)]).toEqual([expect.closeTo(200, -1), 90]);
  const edge = red(contained, 16, 0);
  expect(edge).toBeGreaterThan(100);
  expect(edge).toBeLessThan(140);
});

test('contain repaints its bars where there is a mask', () => {
  const canvas = createCanvas({ image: image(64, 32), strength: 1, fit: 'contain' }, { ...repaint, mask: mask(64, 32, [0, 0, 2, 2]) }, size, size);
  expect([canvas.mask?.data[16], canvas.mask?.data[16 * 32 + 16]]).toEqual([255, 0]);
});

test('pixels outside the mask equal the source exactly, and the others are new', () => {
  const source = image(32, 32);
  const canvas = createCanvas({ image: source, strength: 1, fit: 'cover' }, { ...repaint, mask: mask(32, 32, [8, 8, 24, 24]) }, size, size);
  const finished = canvas.finish(plain(32, 32, 255));
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) expect(red(finished, x, y)).toBe(x >= 8 && x < 24 && y >= 8 && y < 24 ? 255 : red(source, x, y));
  }
});

test('a feather rises from the edge of the mask inward and leaves what is outside alone', () => {
  const options = { ...repaint, mask: mask(32, 32, [8, 0, 32, 32]), featherPx: 3 };
  const finished = createCanvas({ image: plain(32, 32, 0), strength: 1, fit: 'cover' }, options, size, size).finish(plain(32, 32, 200));
  expect([7, 8, 9, 10, 11].map((x) => red(finished, x, 16))).toEqual([0, 50, 100, 150, 200]);
});

test('without a composite the generated image is the result', () => {
  const options = { ...repaint, mask: mask(32, 32, [8, 8, 24, 24]), composite: false };
  const generated = plain(32, 32, 255);
  expect(createCanvas({ image: image(32, 32), strength: 1, fit: 'cover' }, options, size, size).finish(generated)).toEqual(generated);
});

test('expand adds pixels that are repainted, and the source stays in its place', () => {
  const source = image(16, 32);
  const options = { ...repaint, expand: { left: 16, top: 0, right: 0, bottom: 0 } };
  const canvas = createCanvas({ image: source, strength: 1, fit: 'cover' }, options, size, size);
  expect([canvas.mask?.data[15], canvas.mask?.data[16]]).toEqual([255, 0]);
  const finished = canvas.finish(plain(32, 32, 255));
  expect([red(finished, 15, 3), red(finished, 16, 3), red(finished, 31, 3)]).toEqual([255, red(source, 0, 3), red(source, 15, 3)]);
});

test('only the masked part is generated, at the full size, and put back into the source, which keeps its size', () => {
  const source = image(200, 100);
  const options = { ...repaint, mask: mask(200, 100, [90, 40, 100, 50]), onlyMasked: { paddingPx: 3 } };
  const canvas = createCanvas({ image: source, strength: 1, fit: 'cover' }, options, size, size);
  expect([canvas.image.width, canvas.image.height]).toEqual([32, 32]);
  const finished = canvas.finish(plain(32, 32, 255));
  expect([finished.width, finished.height]).toEqual([200, 100]);
  expect([red(finished, 89, 45), red(finished, 90, 45), red(finished, 99, 49), red(finished, 100, 50)]).toEqual([
    red(source, 89, 45),
    255,
    255,
    red(source, 100, 50),
  ]);
});

test.for([
  ['of another size', mask(16, 32, [0, 0, 4, 4])],
  ['without a white pixel', { width: 32, height: 32, data: new Uint8Array(32 * 32).fill(127) }],
] as const)('a mask %s is refused', ([, wrong]) => {
  const create = () => createCanvas({ image: image(32, 32), strength: 1, fit: 'cover' }, { ...repaint, mask: wrong }, size, size);
  expect(create).toThrow(expect.objectContaining({ code: 'bad_param', data: { field: 'mask' } }));
});

test('a pixel of 128 is repainted and one of 127 is kept', () => {
  const wrong = { width: 32, height: 32, data: new Uint8Array(32 * 32).fill(127) };
  wrong.data[5] = 128;
  const canvas = createCanvas({ image: image(32, 32), strength: 1, fit: 'cover' }, { ...repaint, mask: wrong }, size, size);
  expect(canvas.mask?.data.filter((value) => value === 255).length).toBe(1);
});
