import { expect, test } from 'vitest';
import { createRowsAhead } from './rows-ahead.ts';

test('more rows exist on the side that scrolling goes to, and none beyond the list', () => {
  const rowsAhead = createRowsAhead();
  const ends = (startIndex: number) => {
    const rows = rowsAhead({ startIndex, endIndex: startIndex + 4, count: 100 });
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
    return [rows[0], rows.at(-1)];
  };
  expect(ends(0)).toEqual([0, 10]);
  expect(ends(40)).toEqual([37, 50]);
  expect(ends(38)).toEqual([32, 45]);
  expect(ends(95)).toEqual([92, 99]);
  expect(rowsAhead({ startIndex: 0, endIndex: 0, count: 0 })).toEqual([]);
});
