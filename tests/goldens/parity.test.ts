import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareCheckpoint } from '#main/parity/compare-checkpoint.ts';
import { compareUpscaler } from '#main/parity/compare-upscaler.ts';
import { type Comparison, isWithinLimit } from '#main/parity/comparison.ts';
import { sharedCheckpoints, sharedPath } from '../support/shared-folder.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'parity-test-'));
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

async function collect(comparisons: AsyncIterable<Comparison>): Promise<Comparison[]> {
  const all: Comparison[] = [];
  for await (const comparison of comparisons) all.push(comparison);
  return all;
}

const here = existsSync(sharedPath());
if (!here) console.log('parity with the goldens is skipped: ../shared is not beside the repository');

const runs = [
  ...sharedCheckpoints.map((name) => ({ name, target: 'cpu-exact' as const })),
  ...sharedCheckpoints.filter((name) => name.includes('storybook')).map((name) => ({ name, target: 'cpu-fast' as const })),
  ...(['emulated-fp16', 'emulated-bf16'] as const).map((target) => ({ name: 'goldens/published-uint4', target })),
];

test.skipIf(!here).each(runs)('$name, $target: every golden within its limit', async ({ name, target }) => {
  const comparisons = await collect(
    compareCheckpoint({
      path: sharedPath(name),
      expectedPath: sharedPath(`${name}.expected.safetensors`),
      target,
      cacheDir,
      threads: availableParallelism(),
    }),
  );
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  const limited = comparisons.filter(({ limit }) => limit !== null);
  expect(limited.map(({ name: tensor }) => tensor)).toEqual(expect.arrayContaining(['prompt.0.input_ids', 'randn.42.4096', 'scheduler.8.1024.sigmas']));
  expect(limited.filter(({ measure }) => measure === 'psnr').length).toBeGreaterThan(0);
  if (target !== 'cpu-fast') expect(limited.length).toBe(comparisons.length);
});

test.skipIf(!here).each(['goldens/published-uint4', 'models/storybook-uint4'])('%s: images from images, within their limits', async (name) => {
  const expectedPath = sharedPath(`${name}.edits.expected.safetensors`);
  const request = { path: sharedPath(name), expectedPath, target: 'cpu-exact' as const, cacheDir, threads: availableParallelism() };
  const comparisons = await collect(compareCheckpoint(request));
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  const kinds = comparisons.map(({ name: tensor }) => {
    const words = tensor.replace(/\.\d+$/, '').split('.');
    return `${words[0]} ${words.at(-1)}`;
  });
  expect(kinds).toEqual(expect.arrayContaining(['img2img image', 'inpaint image', 'text image', 'img2img moments', 'inpaint latents', 'strength start']));
});

test.skipIf(!here)('an unquantized checkpoint that is quantized to int8 rows stays within the limits for those', async () => {
  const [path, expectedPath] = [sharedPath('goldens/original-bf16'), sharedPath('goldens/original-bf16.expected.safetensors')];
  const request = { path, expectedPath, target: 'cpu-exact' as const, cacheDir, threads: availableParallelism() };
  const comparisons = await collect(compareCheckpoint({ ...request, int8Rows: true }));
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  const embedding = comparisons.find(({ name }) => name === 'prompt.0.text_embedding');
  expect(embedding?.value).toBeGreaterThan(1e-4); // it is not the unquantized one
});

test.skipIf(!here).each(['realesr-general-x4v3', 'RealESRGAN_x4plus'])('%s: within 45 dB of its golden', async (name) => {
  const folder = 'models/real-esrgan';
  const comparisons = await collect(
    compareUpscaler({
      path: sharedPath(folder, `${name}.safetensors`),
      expectedPath: sharedPath(folder, 'expected.safetensors'),
      target: 'cpu-fast',
      cacheDir,
      threads: availableParallelism(),
    }),
  );
  expect(comparisons.map(({ name }) => name.replace(/^\w+\./, ''))).toEqual(['output', 'output by convolutions']);
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
});

// the check itself must be able to fail
test.skipIf(!here)('goldens of another checkpoint are outside', async () => {
  const request = { target: 'cpu-exact' as const, cacheDir, threads: availableParallelism() };
  const [path, expectedPath] = [sharedPath('models/storybook-int8'), sharedPath('models/storybook-uint4.expected.safetensors')];
  const outside = (await collect(compareCheckpoint({ ...request, path, expectedPath }))).filter((comparison) => !isWithinLimit(comparison));
  expect(outside.map(({ name }) => name)).toContain('prompt.0.text_embedding');
});
