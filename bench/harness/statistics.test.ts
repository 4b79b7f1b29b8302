import { expect, test } from 'vitest';
import { median, percentile, significant, slope } from './statistics.ts';

test('median', () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])]).toEqual([2, 2.5, 7]);
  expect(median([])).toBeNaN();
});

test('percentile: nearest rank', () => {
  const series = [15, 20, 35, 40, 50];
  expect([0, 0.05, 0.3, 0.4, 0.5, 1].map((share) => percentile(series, share))).toEqual([15, 15, 20, 20, 35, 50]);
  expect(percentile([], 0.5)).toBeNaN();
});

test('slope of the least-squares line', () => {
  expect(slope([0, 1, 2], [1, 3, 5])).toBeCloseTo(2);
  // by hand: the means are 1.5 and 2, the products -1.5 * -2, -0.5 * 0, 0.5 * 1 and 1.5 * 1 sum to 5, the squares of x to 5
  expect(slope([0, 1, 2, 3], [0, 2, 3, 3])).toBeCloseTo(1);
});

test('significant digits', () => {
  expect([significant(12_345), significant(0.012345), significant(9.999)]).toEqual([12_300, 0.0123, 10]);
});
