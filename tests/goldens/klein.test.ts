import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareCheckpoint } from '#main/parity/compare-checkpoint.ts';
import { type Comparison, isWithinLimit } from '#main/parity/comparison.ts';
import { sharedPath } from '../support/shared-folder.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'klein-'));
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

const here = existsSync(sharedPath('goldens/klein'));
if (!here) console.log('klein is not compared with its goldens: ../shared is not beside the repository');

async function compare(name: string, int8Rows = false): Promise<Comparison[]> {
  const path = sharedPath('goldens/klein', name);
  const request = { path, expectedPath: `${path}.expected.safetensors`, target: 'cpu-exact' as const, cacheDir, threads: availableParallelism(), int8Rows };
  const comparisons: Comparison[] = [];
  for await (const comparison of compareCheckpoint(request)) comparisons.push(comparison);
  return comparisons;
}

test.skipIf(!here).each([
  ['klein-4bit-dynamic', 107],
  ['klein-int8-hadamard', 55],
  ['klein-base-bf16', 73],
])('%s: the numbers of diffusers', async (name, count) => {
  const comparisons = await compare(name);
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  expect(comparisons.length).toBe(count);
  // a correct engine differs by its order of sums only
  expect(comparisons.filter(({ measure, value }) => measure === 'relative' && value > 1e-4)).toEqual([]);
});

test.skipIf(!here)('the unquantized checkpoint in int8 rows stays within what they cost', async () => {
  const comparisons = await compare('klein-base-bf16', true);
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  // rows of int8 change something
  expect(comparisons.find(({ name }) => name === 'prompt.0.text_embedding')?.value).toBeGreaterThan(1e-3);
});
