import { expect, test } from 'vitest';
import { captionPositions, imagePositions, rotaryTables } from './rotary.ts';

test('captions count from 1, padding included', () => {
  expect(captionPositions(3)).toEqual([
    [1, 0, 0],
    [2, 0, 0],
    [3, 0, 0],
  ]);
});

test('image tokens stand after the caption by row and column, their padding at the origin', () => {
  expect(imagePositions(2, 2, 5, 32)).toEqual([
    [33, 0, 0],
    [33, 0, 1],
    [33, 1, 0],
    [33, 1, 1],
    [0, 0, 0],
  ]);
});

test('each axis has its own channels', () => {
  const { cos, sin, rows, width } = rotaryTables({ theta: 256, axes: [4, 2, 2] }, [[2, 3, 5]]);
  expect([rows, width]).toEqual([1, 4]);
  const angles = [2, 2 / 16, 3, 5]; // 256 ** (2 / 4) = 16
  expect([...cos]).toEqual(angles.map((angle) => Math.fround(Math.cos(angle))));
  expect([...sin]).toEqual(angles.map((angle) => Math.fround(Math.sin(angle))));
});
