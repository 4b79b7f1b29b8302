import { expect, test } from 'vitest';
import { quoteValue } from './quote-value.ts';

test.each([
  ['a"b\n', '"a\\"b\\n"'],
  [3, '3'],
  [null, 'null'],
  [undefined, 'nothing'],
  [[1, -2], '[1,-2]'],
  [{ a: 1 }, 'an object with 1 keys'],
  ['x'.repeat(200), `"${'x'.repeat(99)}…`],
  [JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)), 'a list of 1 that holds lists or objects'],
])('a value out of a foreign file becomes a short, flat text (%#)', (value, text) => {
  expect(quoteValue(value)).toBe(text);
});
