import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCheckpoint, compileVariant } from '#main/compiler/compile.ts';
import { compareCheckpoint } from '#main/parity/compare-checkpoint.ts';
import { type Comparison, isWithinLimit } from '#main/parity/comparison.ts';
import { sharedPath } from '../support/shared-folder.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'controlnets-'));
});
afterAll(() => rm(cacheDir, { recursive: true }));

const here = existsSync(sharedPath('goldens/controlnet'));
if (!here) console.log('ControlNets are not compared with their goldens: ../shared is not beside the repository');

function compare(base: string, file: string, target: 'cpu-exact' | 'cpu-fast'): AsyncIterable<Comparison> {
  const controlNet = sharedPath(`goldens/controlnet/${base}.${file}.safetensors`);
  const expectedPath = sharedPath(`goldens/controlnet/${base}.expected.safetensors`);
  return compareCheckpoint({ path: sharedPath(`goldens/${base}`), expectedPath, target, cacheDir, threads: availableParallelism(), controlNet });
}

test.skipIf(!here).each([
  ['slow-tokenizer', 'v1-1', 6],
  ['slow-tokenizer', 'v2.1-1', 12],
  ['thirty-layers', 'v1-6', 6],
  ['thirty-layers', 'v2.0-15', 9],
  ['thirty-layers', 'v2.1-15', 12],
  ['thirty-layers', 'v2.1-3', 12],
])('%s, %s: the numbers of diffusers', async (base, file, count) => {
  const comparisons: Comparison[] = [];
  for await (const comparison of compare(base, file, 'cpu-exact')) comparisons.push(comparison);
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  expect(comparisons.length).toBe(count);
});

test.skipIf(!here)('quantized to int8 it gives nearly the same images', async () => {
  const images: number[] = [];
  for await (const { measure, value } of compare('slow-tokenizer', 'v2.1-1', 'cpu-fast')) if (measure === 'psnr') images.push(value);
  expect(Math.min(...images)).toBeGreaterThan(30);
});

test.skipIf(!here).each([
  ['thirty-layers.v1-6', /width of 32.*the model has 128/],
  ['../lora/peft', /has no tensor.*control_all_x_embedder/],
])('%s is refused for another model', async (file, message) => {
  const request = { cacheDir, identity: 'slow', target: 'cpu-exact' as const, checkpointDir: sharedPath('goldens/slow-tokenizer') };
  const base = await compileCheckpoint(request, () => {});
  const controlNet = { path: sharedPath(`goldens/controlnet/${file}.safetensors`), identity: file };
  const variant = compileVariant({ ...request, base, takesLoras: false, controlNet }, () => {});
  await expect(variant).rejects.toMatchObject({ code: 'controlnet_unsupported', message: expect.stringMatching(message) });
});
