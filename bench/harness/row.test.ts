import { expect, test } from 'vitest';
import { takeTurns } from './rounds.ts';
import { describeRow, figure, formatValue, limitText, parityText, type Row, ratioText, verdictOf } from './row.ts';

const beside = (ours: number[]): Row => ({ label: 'a', unit: 'ms', ours, peer: { name: 'peer', series: ours.map(() => 100) }, must: 0.5, goal: 0.25 });

test('both sides warm up, then take turns, and each round keeps its number', async () => {
  const order: string[] = [];
  const side = (name: string) => async (round: number) => {
    order.push(`${name}${round}`);
    return round;
  };
  expect(await takeTurns(4, side('a'), side('b'))).toEqual({ ours: [1, 2, 3, 4], peer: [1, 2, 3, 4] });
  expect(order).toEqual(['a0', 'b0', 'a1', 'b1', 'b2', 'a2', 'a3', 'b3', 'b4', 'a4']);
});

test.each<[string, number[], string]>([
  ['all rounds are below the limit', [40, 41, 42, 43, 44], 'met'],
  ['all rounds are above it', [60, 61, 62, 63, 64], 'missed'],
  ['one round in five strays', [40, 41, 42, 43, 90], 'met'],
  ['the middle half of the rounds lies on both sides', [30, 45, 49, 55, 70], 'undecided'],
  ['there are too few rounds', [10, 10, 10, 10], 'undecided'],
])('where %s', (_what, ours, verdict) => {
  expect(verdictOf(beside(ours))).toBe(verdict);
});

test('a single figure is decided, against an upper or a lower limit', () => {
  expect(verdictOf(figure('delay', 19, 'ms', { most: 20 }))).toBe('met');
  expect(verdictOf(figure('delay', 21, 'ms', { most: 20 }))).toBe('missed');
  expect(verdictOf(figure('rate', 300, '/s', { least: 300 }))).toBe('met');
  expect(verdictOf(figure('rate', 299, '/s', { least: 300 }))).toBe('missed');
  expect(verdictOf(figure('broken', Number.NaN, '', { most: 0 }))).toBe('missed');
  expect(verdictOf(figure('size', 3, 'GB'))).toBe('no limit');
});

test('values, ratios and limits as they are printed', () => {
  expect([formatValue(12_345, 'ms'), formatValue(123.4, 'ms'), formatValue(1.234, 'ms')]).toEqual(['12.3 s', '123 ms', '1.23 ms']);
  expect([formatValue(2.5e6, 'bytes'), formatValue(0.123, 'share'), formatValue(1200, '/s')]).toEqual(['3 MB', '12 %', '1,200 /s']);
  expect(ratioText(beside([40, 50, 60, 50, 50]))).toBe('0.50 (0.50 to 0.50)');
  expect(limitText(figure('rate', 1, '/s', { least: 300, goal: 1000 }))).toBe('at least 300 /s, goal 1,000 /s');
  expect(describeRow(beside([40, 40, 40, 40, 40]))).toBe('a: 40.0 ms, peer 100 ms, ratio 0.40 (0.40 to 0.40), at most 0.5, goal 0.25: met');
});

test('a note says whether the exact graphs are close enough to float32', () => {
  expect(parityText({ exact: 2.3e-6, fast: 0.022, peer: 0.023 })).toBe(
    'largest difference to float32 relative to the largest value: exact 2.3e-6 (at most 0.002: met), fast 2.2e-2, the peer 2.3e-2',
  );
  expect(parityText({ exact: 2.1e-3, fast: 0.022 })).toContain('**missed**');
  expect(parityText({ exact: Number.NaN, fast: 0.022 })).toContain('**missed**');
});
