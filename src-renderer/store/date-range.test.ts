import { expect, test } from 'vitest';
import { anyDates, rangeOf } from './date-range.ts';

const noon = new Date(2026, 2, 29, 12).getTime();
const seconds = (...date: [number, number, number]) => new Date(...date).getTime() / 1000;

test('today starts at local midnight, the last seven days a week earlier', () => {
  expect(rangeOf({ ...anyDates, choice: 'today' }, noon)).toEqual({ from: seconds(2026, 2, 29), to: undefined });
  expect(rangeOf(anyDates, noon)).toEqual({ from: undefined, to: undefined });
  expect(new Date((rangeOf({ ...anyDates, choice: 'week' }, noon).from ?? 0) * 1000).getDate()).toBe(22);
});

test('both chosen days belong to the range, and an empty one leaves its end open', () => {
  const days = (first: string, last: string) => rangeOf({ choice: 'days', first, last }, noon);
  expect(days('2026-02-28', '2026-02-28')).toEqual({ from: seconds(2026, 1, 28), to: seconds(2026, 2, 1) });
  expect(days('', '2026-12-31')).toEqual({ from: undefined, to: seconds(2027, 0, 1) });
});
