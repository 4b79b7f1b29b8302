import { expect, test } from 'vitest';
import { rangeOfChoice, rangeOfDays } from './date-range.ts';

const noon = new Date(2026, 2, 29, 12).getTime();
const seconds = (...date: [number, number, number]) => new Date(...date).getTime() / 1000;

test('today begins at the local midnight, the last seven days a week before it', () => {
  expect(rangeOfChoice('today', noon)).toEqual({ from: seconds(2026, 2, 29), to: undefined });
  expect(rangeOfChoice('any', noon)).toEqual({ from: undefined, to: undefined });
  expect(new Date((rangeOfChoice('week', noon).from ?? 0) * 1000).getDate()).toBe(22);
});

test('both days that were chosen belong to the range', () => {
  expect(rangeOfDays('2026-02-28', '2026-02-28')).toEqual({ from: seconds(2026, 1, 28), to: seconds(2026, 2, 1) });
  expect(rangeOfDays('', '2026-12-31')).toEqual({ from: undefined, to: seconds(2027, 0, 1) });
});
