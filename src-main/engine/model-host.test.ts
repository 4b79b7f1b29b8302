import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { ModelHost } from './model-host.ts';
import type { GenerateRequest, UpscaleRequest, WorkerConfig } from './protocol.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'model-host-'));
});
afterAll(() => rm(cacheDir, { recursive: true }));

const params = { prompt: 'a cat', width: 256, height: 256, steps: 3, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
const picture = { width: 1, height: 1, data: new Uint8Array(3) };
const hooks = { onProgress: () => {} };
const signal = { cancelled: false };

const withoutLoras = {
  compileVariant: () => Promise.reject(new Error('no LoRA was asked for')),
  loadLora: () => Promise.reject(new Error('no LoRA was asked for')),
};

/** What was compiled for and how it was loaded, for one picture and its enlargement. */
async function heardOn(config: Pick<WorkerConfig, 'device' | 'gpuPrecision'>, accuracy: 'exact' | 'fast', cardBytes: number | null = 80e9, onCpu = false) {
  const targets: string[] = [];
  const loaded: unknown[] = [];
  const host = new ModelHost(
    {
      compileCheckpoint: (request, onProgress) => {
        targets.push(request.target);
        return compileCheckpoint(request, onProgress);
      },
      compileUpscaler: (request, onProgress) => {
        targets.push(request.target);
        return compileUpscaler(request, onProgress);
      },
      ...withoutLoras,
      loadTextToImage: async (_compiled, { provider, card, cuda }) => {
        loaded.push({ provider, card, cuda });
        return { follow: async () => {}, generate: async () => picture };
      },
      loadUpscaler: async (_compiled, { provider, card, cuda }) => {
        loaded.push({ provider, card, cuda });
        return { largestTilePixels: 256 * 256, upscale: async () => picture };
      },
      freeMemory: async () => ({ cardBytes, ramBytes: 80e9 }),
    },
    { ...config, deviceReason: 'a test', threads: 1, cacheDir },
  );
  const files = { checkpointDir: join(resourcesDir, 'models/storybook-uint4'), checkpointIdentity: 'bundled', outputPath: '/a.png', texts: [] };
  const generate: GenerateRequest = { id: 1, accuracy, memory: 'auto', params, previews: false, ...files };
  const upscalerPath = join(resourcesDir, 'upscalers/realesr-general-x4v3.safetensors');
  const upscale: UpscaleRequest = {
    id: 2,
    accuracy,
    upscalerPath,
    upscalerIdentity: 'u',
    onCpu,
    inputPath: '/a.png',
    outputPath: '/b.png',
    texts: [],
  };
  await host.generate(generate, hooks, signal);
  await host.upscale(upscale, picture, hooks, signal);
  return { targets, loaded };
}

test.each([
  [{ device: 'cpu' }, 'fast', 'cpu-fast', 'cpu', 0],
  [{ device: 'cuda:1', gpuPrecision: 'bf16' }, 'fast', 'gpu-bf16', 'cuda', 1],
  [{ device: 'cuda', gpuPrecision: 'fp16' }, 'fast', 'gpu-fp16', 'cuda', 0],
  [{ device: 'cuda:1', gpuPrecision: 'bf16' }, 'exact', 'gpu-fp32', 'cuda', 1],
  [{ device: 'dml:2', gpuPrecision: 'fp16' }, 'fast', 'gpu-fp16', 'dml', 2],
] as const)('%o, %s: graphs for %s, loaded on %s, card %i', async (config, accuracy, target, provider, card) => {
  const { targets, loaded } = await heardOn(config, accuracy);
  expect(targets).toEqual([target, target]);
  expect(loaded).toMatchObject([
    { provider, card },
    { provider, card },
  ]);
});

test('an upscaler that is for the CPU is compiled and loaded for it', async () => {
  const { targets, loaded } = await heardOn({ device: 'cuda:1', gpuPrecision: 'bf16' }, 'fast', 80e9, true);
  expect(targets).toEqual(['gpu-bf16', 'cpu-fast']);
  expect(loaded).toMatchObject([
    { provider: 'cuda', card: 1 },
    { provider: 'cpu', card: 0 },
  ]);
});

test('a session on a card may take what was free but for the reserve, is tight where parts take turns, and is float32 where that was asked for', async () => {
  const { loaded } = await heardOn({ device: 'cuda', gpuPrecision: 'bf16' }, 'fast');
  expect(loaded).toMatchObject([
    { cuda: { arenaBytes: 79.2e9, isTight: false, isExact: false } },
    { cuda: { arenaBytes: null, isTight: false, isExact: false } },
  ]);
  const exact = await heardOn({ device: 'cuda', gpuPrecision: 'bf16' }, 'exact', null);
  expect(exact.loaded).toMatchObject([{ cuda: { arenaBytes: null, isExact: true } }, { cuda: { isExact: true } }]);
  const little = await heardOn({ device: 'cuda', gpuPrecision: 'bf16' }, 'fast', 0.8e9);
  expect(little.loaded).toMatchObject([{ cuda: { isTight: true } }, {}]);
});

test('a card is asked for its free memory once a minute, however many images are upscaled', async () => {
  let [asked, nowMs] = [0, 0];
  const compiled = { graph: { onnxPath: '', weightsDir: '', memory: { loadedBytes: 1, runningBytes: { fixed: 0, perUnit: 1 } } } };
  const host = new ModelHost(
    {
      compileCheckpoint: () => Promise.reject(new Error('there is no checkpoint')),
      ...withoutLoras,
      compileUpscaler: async () => ({ identity: 'u', architecture: 'SRVGGNetCompact', convolutions: null, scale: 4, overlapPx: 16, ...compiled }),
      loadTextToImage: () => Promise.reject(new Error('there is no checkpoint')),
      loadUpscaler: async () => ({ largestTilePixels: 256 * 256, upscale: async () => picture }),
      freeMemory: async () => {
        asked++;
        return { cardBytes: 80e9, ramBytes: 80e9 };
      },
    },
    { device: 'cuda', deviceReason: 'a test', threads: 1, cacheDir },
    () => nowMs,
  );
  const files = { upscalerPath: '/u', upscalerIdentity: 'u', inputPath: '/a.png', outputPath: '/b.png', texts: [] };
  const upscale = () => host.upscale({ id: 1, accuracy: 'fast', onCpu: false, ...files }, picture, hooks, signal);
  for (let image = 0; image < 3; image++) await upscale();
  nowMs = 59_999;
  await upscale();
  expect(asked).toBe(1);
  nowMs = 60_000;
  await upscale();
  expect(asked).toBe(2);
});
