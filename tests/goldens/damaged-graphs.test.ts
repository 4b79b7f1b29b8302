import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCheckpoint, compileUpscaler, compileVariant } from '#main/compiler/compile.ts';
import { loadLora } from '#main/compiler/lora/load-lora.ts';
import { freeMemory } from '#main/engine/free-memory.ts';
import { ModelHost } from '#main/engine/model-host.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { resourcesDir } from '#main/lib/program-files.ts';

let cacheDir: string;
let good: Uint8Array;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'damaged-graphs-'));
  good = (await generate()).image;
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

/** One image by a new engine over the cache, and the sentences for its report. */
async function generate(): Promise<{ image: Uint8Array; fallbacks: string[] }> {
  const loaders = { compileCheckpoint, compileUpscaler, compileVariant, loadLora, loadPipeline, loadUpscaler, freeMemory };
  const host = new ModelHost(loaders, { device: 'cpu', deviceReason: 'a test', threads: availableParallelism(), cacheDir, priority: 'normal' });
  const fallbacks: string[] = [];
  const request = {
    ...({ id: 1, accuracy: 'fast', memory: 'auto', previews: false, outputPath: '' } as const),
    provenance: null,
    checkpointDir: join(resourcesDir, 'models/storybook-uint4'),
    checkpointIdentity: 'storybook',
    params: { prompt: 'a fox', width: 256, height: 256, seed: 1, steps: 2, guidance_scale: 0, model_type: 'uint4' as const },
  };
  const hooks = { onProgress: () => {}, onFallback: (sentence: string) => fallbacks.push(sentence) };
  const { data } = await host.generate(request, hooks, { cancelled: false });
  return { image: data, fallbacks };
}

async function compiledFile(name: string): Promise<string> {
  const [folder = '', ...others] = await readdir(cacheDir);
  expect(others).toEqual([]);
  return join(cacheDir, folder, name);
}

test.each<[string, string, (path: string) => Promise<void>]>([
  ['a graph cut in half', 'denoiser.onnx', async (path) => truncate(path, (await stat(path)).size >> 1)],
  ['an empty graph', 'text_encoder.onnx', (path) => truncate(path, 0)],
  ['weights of zeros', 'denoiser.weights', async (path) => writeFile(path, Buffer.alloc((await stat(path)).size))],
  ['a manifest that is not JSON', 'compiled.json', (path) => writeFile(path, '{"files": [')],
])('%s: the graphs are compiled again, the image is right and its report says so, once', async (_, name, damage) => {
  await damage(await compiledFile(name));
  const first = await generate();
  expect(Buffer.from(first.image).equals(Buffer.from(good))).toBe(true);
  expect(first.fallbacks).toEqual([expect.stringMatching(new RegExp(`were damaged \\(.*${name.replace('.', '\\.')}.*compiled again`))]);
  const second = await generate();
  expect(second.fallbacks).toEqual([]);
});
