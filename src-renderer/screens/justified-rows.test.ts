import { expect, test } from 'vitest';
import { dayStarts, GAP_PX, justifiedRows, leftsOf, neighbourAcross, ratioOf, rowAt } from './justified-rows.ts';

const square = { width: 512, height: 512 };
const wide = { width: 1024, height: 512 };
const tall = { width: 512, height: 1024 };

test('every image is in one row, and full rows fill the width', () => {
  const shapes = [wide, tall, square, square, wide, wide, tall, tall, square, null, wide, square, tall, square];
  const rows = justifiedRows(shapes, 800, 168);
  expect(rows.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at))).toEqual(shapes.map((_, index) => index));
  for (const row of rows.slice(0, -1)) {
    const last = row.first + row.count - 1;
    const right = (leftsOf(row, shapes).at(-1) ?? 0) + ratioOf(shapes[last] ?? null) * row.heightPx;
    expect(right).toBeCloseTo(800, 6);
    expect(row.heightPx).toBeGreaterThan(168 / 2);
    expect(row.heightPx).toBeLessThan(168 * 2);
  }
});

test('squares are as large as wanted, as near as the width allows', () => {
  expect(justifiedRows(Array(9).fill(square), 4 * 168 + 3 * GAP_PX, 168)).toEqual([
    { first: 0, count: 4, heightPx: 168 },
    { first: 4, count: 4, heightPx: 168 },
    { first: 8, count: 1, heightPx: 168 },
  ]);
});

test('one extreme image neither fills the screen nor is a sliver', () => {
  expect(ratioOf({ width: 2048, height: 256 })).toBe(2.5);
  expect(ratioOf({ width: 256, height: 2048 })).toBe(0.5);
  expect(justifiedRows([{ width: 2048, height: 256 }], 300, 168)).toEqual([{ first: 0, count: 1, heightPx: 120 }]);
  expect(justifiedRows([], 300, 168)).toEqual([]);
});

test('up and down go to the image that is nearest', () => {
  const shapes = [wide, square, square, square, square, square];
  const rows = justifiedRows(shapes, 3 * 168 + 2 * GAP_PX, 168);
  expect(rows.map(({ count }) => count)).toEqual([2, 3, 1]);
  expect(neighbourAcross(rows, shapes, 1, 1)).toBe(4);
  expect(neighbourAcross(rows, shapes, 2, -1)).toBe(0);
  expect(neighbourAcross(rows, shapes, 0, -1)).toBe(0);
  expect(neighbourAcross(rows, shapes, 4, 1)).toBe(5);
  expect([0, 1, 2, 4, 5].map((index) => rowAt(rows, index))).toEqual([0, 0, 1, 1, 2]);
});

test('each day begins with a row of its own', () => {
  const at = (day: number, hour: number) => new Date(2026, 2, day, hour).getTime();
  // the clock changes on 29 March in Europe and on 8 March in America
  const newestFirst = [at(29, 23), at(29, 1), at(28, 23), at(8, 23), at(8, 0), at(7, 12)];
  expect(dayStarts(newestFirst)).toEqual([true, false, true, true, false, true]);
  expect(dayStarts(newestFirst.toReversed())).toEqual([true, true, false, true, true, false]);
  const rows = justifiedRows(Array(6).fill(square), 4 * 168 + 3 * GAP_PX, 168, dayStarts(newestFirst));
  expect(rows.map(({ first, count, heightPx }) => [first, count, heightPx])).toEqual([
    [0, 2, 168],
    [2, 1, 168],
    [3, 2, 168],
    [5, 1, 168],
  ]);
});
