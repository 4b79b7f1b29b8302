import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programDir } from '#main/lib/program-files.ts';
import { benches } from '../bench/benches.ts';
import { type Comparison, comparisonNames, parityText, takeTurns, verdictOf } from '../bench/comparison.ts';

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
  const row: Comparison = { label: '', unit: 'ms', ours, peer: { name: 'peer', series: ours.map(() => 100) }, must: 0.5, goal: null };
  expect(verdictOf(row)).toBe(verdict);
});

test('a figure that is no time needs one round; without a limit there is no verdict', () => {
  const row: Comparison = { label: '', unit: 'levels', ours: [3], peer: null, must: 4, goal: null };
  expect(verdictOf(row)).toBe('met');
  expect(verdictOf({ ...row, must: null })).toBe('no limit');
});

test('a row tells whether the exact graphs are as near to float32 as they have to be', () => {
  expect(parityText({ exact: 2.3e-6, fast: 0.022, peer: 0.023 })).toBe(
    'largest difference to float32 by the largest value: exact 2.3e-6 (at most 0.002: held), fast 2.2e-2, the peer 2.3e-2',
  );
  expect(parityText({ exact: 2.1e-3, fast: 0.022 })).toContain('**not held**');
  expect(parityText({ exact: Number.NaN, fast: 0.022 })).toContain('**not held**');
});

test('every comparison can be run by its name and has its place on the page', () => {
  const page = readFileSync(join(programDir, 'docs/performance.md'), 'utf8');
  for (const name of [...comparisonNames, 'picture']) {
    expect(benches).toHaveProperty([name]);
    expect(page).toContain(`<!-- bench:${name} -->`);
  }
});
