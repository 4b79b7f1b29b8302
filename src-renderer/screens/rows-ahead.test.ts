import { expect, test } from 'vitest';
import { createRowsAhead } from './rows-ahead.ts';

test('more rows are rendered in the direction of scrolling, few after a jump, and none outside the list', () => {
  const rowsAhead = createRowsAhead();
  const ends = (startIndex: number) => {
    const rows = rowsAhead({ startIndex, endIndex: startIndex + 4, count: 100 });
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
    return [rows[0], rows.at(-1)];
  };
  expect(ends(0)).toEqual([0, 10]);
  expect(ends(40)).toEqual([39, 45]);
  expect(ends(41)).toEqual([38, 51]);
  expect(ends(39)).toEqual([33, 46]);
  expect(ends(49)).toEqual([46, 59]);
  expect(ends(95)).toEqual([94, 99]);
  expect(rowsAhead({ startIndex: 0, endIndex: 0, count: 0 })).toEqual([]);
});
