import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import type { CompiledCheckpoint } from '#main/lib/compiled.ts';
import type { ImageInputs } from '#main/lib/image-inputs.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { AppError } from '#shared/protocol/errors.ts';
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
      loadPipeline: async (_compiled, { provider, card, cuda }) => {
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
  const files = { checkpointDir: join(resourcesDir, 'models/storybook-uint4'), checkpointIdentity: 'bundled', outputPath: '/a.png', provenance: null };
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
    provenance: null,
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
      loadPipeline: () => Promise.reject(new Error('there is no checkpoint')),
      loadUpscaler: async () => ({ largestTilePixels: 256 * 256, upscale: async () => picture }),
      freeMemory: async () => {
        asked++;
        return { cardBytes: 80e9, ramBytes: 80e9 };
      },
    },
    { device: 'cuda', deviceReason: 'a test', threads: 1, cacheDir },
    () => nowMs,
  );
  const files = { upscalerPath: '/u', upscalerIdentity: 'u', inputPath: '/a.png', outputPath: '/b.png', provenance: null };
  const upscale = () => host.upscale({ id: 1, accuracy: 'fast', onCpu: false, ...files }, picture, hooks, signal);
  for (let image = 0; image < 3; image++) await upscale();
  nowMs = 59_999;
  await upscale();
  expect(asked).toBe(1);
  nowMs = 60_000;
  await upscale();
  expect(asked).toBe(2);
});

describe('a job with LoRAs or a ControlNet', () => {
  const graph = { onnxPath: '', weightsDir: '', memory: { loadedBytes: 1, runningBytes: { fixed: 0, perUnit: 1 } } };
  const compiled: CompiledCheckpoint = {
    ...{ architecture: 'z-image', identity: 'c' },
    parts: {
      textEncoder: { role: 'text', unit: 'promptTokens', graph },
      captionRefiner: { role: 'text', unit: 'promptTokens', graph },
      vaeEncoder: { role: 'brief', unit: 'encodedPixels', graph },
      denoiser: { role: 'denoiser', unit: 'imageTokens', graph },
      vaeDecoder: { role: 'decoder', unit: 'latentPixels', graph },
    },
    ...{ tokenizerDir: '', schedulerDir: '', latentChannels: 16, vaeScale: 8, vaeScalingFactor: 1, vaeShiftFactor: 0, patchSize: 2, captionWidth: 64 },
    rope: { theta: 256, axes: [8, 12, 12], lengths: [64, 64, 64] },
  };
  const lora = (name: string, weight: number) => ({ file: `/${name}.safetensors`, identity: name, name, weight });
  const control = { file: '/c.safetensors', identity: 'c', name: 'c', image: picture, scale: 1, start: 0, end: 1, preprocess: 'none' as const };

  function recordingHost() {
    const seen: string[] = [];
    const host = new ModelHost(
      {
        compileCheckpoint: async () => compiled,
        compileUpscaler: () => Promise.reject(new Error('there is no upscaler')),
        compileVariant: async ({ takesLoras, controlNet }) => {
          seen.push(`compile${takesLoras ? ' loras' : ''}${controlNet ? ` ${controlNet.identity}` : ''}`);
          return { graphs: { captionRefiner: graph, denoiser: graph }, loraTargets: [], controlChannels: 0 };
        },
        loadLora: async (_path, identity) => {
          seen.push(`read ${identity}`);
          if (identity === 'wrong') throw new AppError('lora_unsupported', 'It is for another model.', { path: '/wrong.safetensors' });
          return { identity, modules: new Map(), notices: identity === 'text' ? ['2 tensors were left out.'] : [], metadata: new Map() };
        },
        loadPipeline: async (_compiled, { variant }) => {
          seen.push(variant === null ? 'load' : 'load variant');
          return {
            follow: async (_plan, next) => {
              seen.push(next === null ? 'plain' : 'variant');
            },
            generate: async (_params, _hooks, _signal, inputs) => {
              seen.push(`image ${(inputs?.loras ?? []).map(({ lora: { identity }, weight }) => `${identity}:${weight}`).join(' ')}`.trimEnd());
              return picture;
            },
          };
        },
        loadUpscaler: () => Promise.reject(new Error('there is no upscaler')),
        freeMemory: async () => ({ cardBytes: null, ramBytes: 80e9 }),
      },
      { device: 'cpu', deviceReason: 'a test', threads: 1, cacheDir },
    );
    const generate = (inputs: ImageInputs = {}, onFallback: (sentence: string) => void = () => {}) => {
      const files = { checkpointDir: '/c', checkpointIdentity: 'c', outputPath: '/a.png', provenance: null };
      return host.generate({ id: 1, accuracy: 'fast', memory: 'auto', params, previews: false, inputs, ...files }, { ...hooks, onFallback }, signal);
    };
    return { seen, generate };
  }

  test('another weight compiles and reads nothing; a plain job uses the plain graphs again', async () => {
    const { seen, generate } = recordingHost();
    await generate({ loras: [lora('a', 1)] });
    await generate({ loras: [lora('a', 0.5), lora('b', 1)] });
    await generate();
    await generate({ loras: [lora('a', 2)] });
    expect(seen).toEqual([
      ...['compile loras', 'read a', 'load variant', 'image a:1'],
      ...['read b', 'variant', 'image a:0.5 b:1'],
      ...['plain', 'image'],
      ...['read a', 'variant', 'image a:2'],
    ]);
  });

  test('a ControlNet has graphs of its own, with LoRAs or without', async () => {
    const { seen, generate } = recordingHost();
    await generate();
    await generate({ control });
    await generate({ control });
    await generate({ control, loras: [lora('a', 1)] });
    expect(seen.filter((entry) => entry.startsWith('compile'))).toEqual(['compile c', 'compile loras c']);
  });

  test('what is left out of a file is reported with the job, and a file that is refused leaves the next job alone', async () => {
    const { generate } = recordingHost();
    const sentences: string[] = [];
    await generate({ loras: [lora('text', 1)] }, (sentence) => sentences.push(sentence));
    expect(sentences).toEqual(['LoRA text: 2 tensors were left out.']);
    await expect(generate({ loras: [lora('wrong', 1)] })).rejects.toMatchObject({ code: 'lora_unsupported' });
    await expect(generate({ loras: [lora('text', 1)] })).resolves.toBe(picture);
  });
});
