import { expect, test } from 'vitest';
import { readGoldens } from '../../tests/support/read-goldens.ts';
import { needsSharedFolder, sharedCheckpoints, sharedPath } from '../../tests/support/shared-folder.ts';
import { torchRandn } from './rng.ts';

test('the values equal the values of torch.randn, for all goldens', async (context) => {
  needsSharedFolder(context);
  let compared = 0;
  for (const checkpoint of sharedCheckpoints) {
    const { floats } = await readGoldens(sharedPath(`${checkpoint}.expected.safetensors`));
    for (const [name, expected] of floats) {
      const [, seed, count] = /^randn\.(\d+)\.(\d+)$/.exec(name) ?? [];
      if (seed === undefined || count === undefined) continue;
      const ours = torchRandn(Number(seed), Number(count));
      expect(ours.length).toBe(expected.length);
      expect(Math.max(...ours.map((value, i) => Math.abs(value - (expected[i] as number))))).toBeLessThan(1e-6);
      compared++;
    }
  }
  expect(compared).toBeGreaterThanOrEqual(5 * sharedCheckpoints.length);
});

// torch 2.13: torch.randn(N, generator=torch.Generator('cpu').manual_seed(SEED))[[0, 1, 8, 15, -1]].tolist()
test.each([
  [0, 16, [-1.12583983, -1.1523602, 0.322274923, -0.247278154, -0.247278154]],
  [42, 1000, [1.92691529, 1.48728406, -0.752135277, 0.76244539, -0.853454411]],
  [2 ** 53 - 1, 100003, [-2.66429758, -1.0910486, -1.75149465, 0.140909612, 1.37269616]],
])('seed %d, %d values', (seed, count, expected) => {
  const values = torchRandn(seed, count);
  const picked = [0, 1, 8, 15, -1].map((i) => values.at(i) as number);
  expect(Math.max(...picked.map((value, i) => Math.abs(value - (expected[i] as number))))).toBeLessThan(1e-6);
});

test('less than 16 values are refused', () => {
  expect(() => torchRandn(0, 15)).toThrow('15 random values were asked for; at least 16');
});
