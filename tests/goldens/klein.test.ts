import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCheckpoint, compileUpscaler, compileVariant } from '#main/compiler/compile.ts';
import { loadLora } from '#main/compiler/lora/load-lora.ts';
import { openSafetensors } from '#main/compiler/safetensors/open-safetensors.ts';
import { readTensor } from '#main/compiler/safetensors/read-tensor.ts';
import { freeMemory } from '#main/engine/free-memory.ts';
import { ModelHost } from '#main/engine/model-host.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { compareCheckpoint } from '#main/parity/compare-checkpoint.ts';
import type { ParityTarget } from '#main/parity/compare-work.ts';
import { type Comparison, isWithinLimit, psnr } from '#main/parity/comparison.ts';
import { sharedPath } from '../support/shared-folder.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'klein-'));
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

const here = existsSync(sharedPath('goldens/klein'));
if (!here) console.log('klein is not compared with its goldens: ../shared is not beside the repository');

async function compare(name: string, target: ParityTarget = 'cpu-exact', int8Rows = false): Promise<Comparison[]> {
  const path = sharedPath('goldens/klein', name);
  const request = { path, expectedPath: `${path}.expected.safetensors`, target, cacheDir, threads: availableParallelism(), int8Rows };
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
  const comparisons = await compare('klein-base-bf16', 'cpu-exact', true);
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
  // rows of int8 change something
  expect(comparisons.find(({ name }) => name === 'prompt.0.text_embedding')?.value).toBeGreaterThan(1e-3);
});

test.skipIf(!here)('what a GPU computes in bfloat16 stays within its limits', async () => {
  const comparisons = await compare('klein-int8-hadamard', 'emulated-bf16');
  expect(comparisons.filter((comparison) => !isWithinLimit(comparison))).toEqual([]);
});

// parts that take turns give the same image; the report says how weights are used
test.skipIf(!here)('the engine edits two images by words, one part at a time in memory', async () => {
  const checkpointDir = sharedPath('goldens/klein/klein-4bit-dynamic');
  const { tensors } = await openSafetensors(`${checkpointDir}.expected.safetensors`);
  const imageOf = async (name: string): Promise<RgbImage> => {
    const tensor = tensors.get(`edit2.128x96.${name}`) ?? expect.fail(`the goldens hold no ${name}`);
    const [height = 0, width = 0] = tensor.shape;
    return { width, height, data: await readTensor(tensor) };
  };
  const loaders = { compileCheckpoint, compileUpscaler, compileVariant, loadLora, loadPipeline, loadUpscaler, freeMemory };
  const host = new ModelHost(loaders, { device: 'cpu', deviceReason: 'a test', threads: availableParallelism(), cacheDir });
  const seen: string[] = [];
  const hooks = { onProgress: (stage: string) => void (seen.at(-1) !== stage && seen.push(stage)) };
  const request = {
    ...({ id: 1, accuracy: 'exact', memory: 'in_turn', previews: false, outputPath: '', provenance: null } as const),
    ...{ checkpointDir, checkpointIdentity: 'klein', inputs: { references: [await imageOf('reference0'), await imageOf('reference1')] } },
    params: {
      ...{ prompt: 'A red fox  in space — “night”, 3 owls & 1 robot! 🦊', width: 128, height: 96, steps: 4, guidance_scale: 1, seed: 45 },
      model_type: 'klein' as const,
    },
  };
  const made = await host.generate(request, hooks, { cancelled: false });
  expect(psnr(made.data, (await imageOf('image')).data, 255)).toBeGreaterThan(60);
  expect(seen).toEqual(['loading', 'encoding', 'generating', 'decoding']);

  const { report } = await compileCheckpoint({ cacheDir, identity: 'klein', target: 'cpu-exact', checkpointDir }, () => {});
  const reasons = report.graphs.flatMap(({ unpacked }) => unpacked.map(({ reason }) => reason));
  // rows of the small checkpoint have groups that are no power of two
  expect(new Set(reasons)).toEqual(new Set(['5 bits are unpacked to a byte a value', 'one scale for each block']));
});
