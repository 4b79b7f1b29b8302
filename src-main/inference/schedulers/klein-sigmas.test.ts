import { expect, test } from 'vitest';
import { readGoldens } from '../../../tests/support/read-goldens.ts';
import { needsSharedFolder, sharedPath } from '../../../tests/support/shared-folder.ts';
import { kleinSigmas } from './klein-sigmas.ts';

test('the sigmas of diffusers, for every count of steps and tokens', async (context) => {
  needsSharedFolder(context);
  const { floats } = await readGoldens(sharedPath('goldens/klein/klein-4bit-dynamic.expected.safetensors'));
  const tables = [...floats].flatMap(([name, expected]) => {
    const [, steps, tokens] = /^scheduler\.(\d+)\.(\d+)\.sigmas$/.exec(name) ?? [];
    return tokens === undefined ? [] : [{ name, expected, ours: kleinSigmas(Number(steps), Number(tokens)) }];
  });
  expect(tables.length).toBe(49);
  for (const { name, expected, ours } of tables) {
    expect(ours.length, name).toBe(expected.length);
    for (const [i, sigma] of ours.entries()) expect(Math.abs(sigma - (expected[i] ?? Number.NaN)), name).toBeLessThanOrEqual(3e-7);
  }
});

// the shift has a jump behind 4,300 tokens: mu is 2.29118 for 4,096 and 1.19333 for 4,352
test.each([
  [4, 4096, [1, 0.967384, 0.908144, 0.7672, 0]],
  [1, 4096, [1, 0]],
  [2, 4352, [1, 1 / (1 + Math.exp(-(0.00016927 * 4352 + 0.45666666))), 0]],
])('%i steps of an image of %i tokens', (steps, tokens, expected) => {
  const sigmas = kleinSigmas(steps, tokens);
  for (const [i, sigma] of sigmas.entries()) expect(sigma).toBeCloseTo(expected[i] ?? Number.NaN, 6);
});
