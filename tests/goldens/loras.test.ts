import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCheckpoint, compileVariant } from '#main/compiler/compile.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import { createSession } from '#main/inference/ort.ts';
import type { Lora, LoraTarget } from '#main/lib/compiled.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { compareCheckpoint } from '#main/parity/compare-checkpoint.ts';
import { type Comparison, isWithinLimit } from '#main/parity/comparison.ts';
import { sharedPath } from '../support/shared-folder.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'loras-'));
});
afterAll(() => rm(cacheDir, { recursive: true }));

const here = existsSync(sharedPath('goldens/lora'));
if (!here) console.log('LoRAs are not compared with their goldens: ../shared is not beside the repository');

test.skipIf(!here)('every published naming gives the numbers of diffusers', async () => {
  const folder = sharedPath('goldens/lora');
  const loras = (await readdir(folder)).filter((name) => !/^(refuse-|expected)/.test(name)).map((name) => ({ path: join(folder, name), weight: null }));
  const comparisons: Comparison[] = [];
  const request = { path: sharedPath('goldens/published-uint4'), expectedPath: join(folder, 'expected.safetensors'), target: 'cpu-exact' as const, cacheDir };
  for await (const comparison of compareCheckpoint({ ...request, threads: availableParallelism(), loras })) comparisons.push(comparison);
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  expect(comparisons.length).toBe(23);
});

/** A LoRA of some layers, of numbers that depend on `seed`. */
function lora(identity: string, targets: readonly LoraTarget[], seed: number): Lora {
  const values = (count: number, scale: number) => Float32Array.from({ length: count }, (_, i) => scale * Math.sin(seed + i));
  const changed = targets.filter(({ name }) => name.includes('attention') || name.startsWith('cap_embedder'));
  return {
    identity,
    modules: new Map(changed.map(({ name, inWidth, outWidth }) => [name, { rank: 2, down: values(2 * inWidth, 0.1), up: values(2 * outWidth, 0.1) }])),
  };
}

test.each(['cpu-fast', 'cpu-exact'] as const)('%s: another weight loads nothing, a weight of zero changes no bit, and two LoRAs commute', async (target) => {
  let loads = 0;
  const request = { cacheDir, identity: 'storybook', target, checkpointDir: join(resourcesDir, 'models/storybook-uint4') };
  const base = await compileCheckpoint(request, () => {});
  const graphs = await compileVariant({ ...request, base, takesLoras: true, controlNet: null }, () => {});
  const counted = {
    threads: availableParallelism(),
    createSession: (...args: Parameters<typeof createSession>) => createSession(...args).finally(() => loads++),
  };
  const pipeline = await loadPipeline(base, counted, () => {});
  const make = async (...loras: [Lora, number][]) => {
    const params = { prompt: 'a red fox', width: 128, height: 128, seed: 4, steps: 3, guidance_scale: 0, model_type: 'uint4' as const };
    const inputs = { loras: loras.map(([one, weight]) => ({ lora: one, weight })) };
    return Buffer.from((await pipeline.generate(params, { onProgress: () => {} }, { cancelled: false }, inputs)).data);
  };
  const [one, other] = [lora('one', graphs.loraTargets, 1), lora('other', graphs.loraTargets, 2)];
  const plain = await make();
  await pipeline.follow('resident', { graphs });
  const zero = await make([one, 0], [other, 0]);
  const after = loads;
  const both = await make([one, 1], [other, 0.5]);
  const swapped = await make([other, 0.5], [one, 1]);
  const half = await make([one, 0.5]);
  expect(loads).toBe(after);
  expect(zero.equals(plain)).toBe(true);
  expect(swapped.equals(both)).toBe(true);
  expect(new Set([plain, both, half].map((image) => image.toString('latin1'))).size).toBe(3);
  await pipeline.follow('resident', null);
  expect((await make()).equals(plain)).toBe(true);
  await pipeline.release();
});
