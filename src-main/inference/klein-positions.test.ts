import { expect, test } from 'vitest';
import { kleinPositions } from './klein-positions.ts';

test('text, then the image, then each reference in order, ten further in time', () => {
  const positions = kleinPositions({ rows: 2, columns: 2 }, [
    { rows: 1, columns: 2 },
    { rows: 2, columns: 1 },
  ]);
  expect(positions.length).toBe(512 + 4 + 2 + 2);
  expect([positions[0], positions[511]]).toEqual([
    [0, 0, 0, 0],
    [0, 0, 0, 511],
  ]);
  expect(positions.slice(512)).toEqual([
    ...[0, 1].flatMap((row) => [0, 1].map((column) => [0, row, column, 0])),
    ...[0, 1].map((column) => [10, 0, column, 0]),
    ...[0, 1].map((row) => [20, row, 0, 0]),
  ]);
});
