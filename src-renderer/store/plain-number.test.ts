import { expect, test } from 'vitest';
import { plainNumber } from './plain-number.ts';

test.each([
  ['3.5', '3.5'],
  [' 12 ', '12'],
  ['3,5', '3.5'],
  ['0,125', '0.125'],
  ['１２', '12'],
  ['３．５', '3.5'],
  ['３，５', '3.5'],
  ['３。５', '3.5'],
  ['٣٫٥', '3.5'],
  ['१२', '12'],
])('%j is read as %s', (text, plain) => {
  expect(plainNumber(text)).toBe(plain);
});

test.each(['1,500', '12,000', '1,5,0', '1.5,0', 'three', '', '1e3', '-1', '½'])('%j does not become another number', (text) => {
  expect(plainNumber(text)).toBe(text.normalize('NFKC'));
});
