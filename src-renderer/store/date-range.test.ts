import { expect, test } from 'vitest';
import { anyDates, rangeOf } from './date-range.ts';

const noon = new Date(2026, 2, 29, 12).getTime();
const seconds = (...date: [number, number, number]) => new Date(...date).getTime() / 1000;

test('today begins at the local midnight, the last seven days a week before it', () => {
  expect(rangeOf({ ...anyDates, choice: 'today' }, noon)).toEqual({ from: seconds(2026, 2, 29), to: undefined });
  expect(rangeOf(anyDates, noon)).toEqual({ from: undefined, to: undefined });
  expect(new Date((rangeOf({ ...anyDates, choice: 'week' }, noon).from ?? 0) * 1000).getDate()).toBe(22);
});

test('both days that were chosen belong to the range, and a day that is not chosen leaves its side open', () => {
  const days = (first: string, last: string) => rangeOf({ choice: 'days', first, last }, noon);
  expect(days('2026-02-28', '2026-02-28')).toEqual({ from: seconds(2026, 1, 28), to: seconds(2026, 2, 1) });
  expect(days('', '2026-12-31')).toEqual({ from: undefined, to: seconds(2027, 0, 1) });
});
