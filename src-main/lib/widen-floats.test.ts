import { expect, test } from 'vitest';
import { float32FromBfloat16, float32FromFloat16 } from './widen-floats.ts';

/** The definition of binary16: sign, 5 bits of exponent, 10 of fraction. */
function valueOfFloat16(word: number): number {
  const sign = word >> 15 === 0 ? 1 : -1;
  const exponent = (word >> 10) & 31;
  const fraction = word & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The definition of bfloat16: sign, 8 bits of exponent, 7 of fraction. */
function valueOfBfloat16(word: number): number {
  const sign = word >> 15 === 0 ? 1 : -1;
  const exponent = (word >> 7) & 255;
  const fraction = word & 127;
  if (exponent === 255) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -133 : sign * (1 + fraction / 128) * 2 ** (exponent - 127);
}

const everyWord = Uint16Array.from({ length: 65536 }, (_, i) => i);

test.each([
  ['float16', float32FromFloat16, valueOfFloat16],
  ['bfloat16', float32FromBfloat16, valueOfBfloat16],
] as const)('every %s word has the value that its definition gives', (_name, widen, defined) => {
  const wrong = [...widen(everyWord)].flatMap((value, word) => (Object.is(value, defined(word)) ? [] : [word]));
  expect(wrong).toEqual([]);
});
