import { expect, test } from 'vitest';
import { paddingBias } from './klein-models.ts';

const TOKENS = 512;

test('a token sees real tokens up to itself; padding sees all real tokens and no padding, not even itself', () => {
  const { data, shape } = paddingBias(3);
  expect(shape).toEqual([1, 1, TOKENS, TOKENS]);
  const seenBy = (row: number): number[] => {
    const scores = [...(data as Float32Array).subarray(row * TOKENS, (row + 1) * TOKENS)];
    return scores.flatMap((bias, column) => (bias === 0 ? [column] : []));
  };
  expect([0, 1, 2, 3, 4, 511].map(seenBy)).toEqual([[0], [0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]);
});

test('a prompt of the full length has no padding', () => {
  const { data } = paddingBias(TOKENS);
  expect((data as Float32Array).subarray((TOKENS - 1) * TOKENS).every((bias) => bias === 0)).toBe(true);
});
