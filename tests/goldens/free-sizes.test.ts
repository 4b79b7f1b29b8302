import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import type { ImagePipeline } from '#main/inference/pipelines/image-pipeline.ts';
import { loadUpscaler, type UpscalePipeline } from '#main/inference/pipelines/upscale.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';

const silent = { onProgress: () => {} };
const running = { cancelled: false };
const options = { threads: availableParallelism() };

let cacheDir: string;
let pipeline: ImagePipeline;
let upscaler: UpscalePipeline;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'free-sizes-'));
  const request = { cacheDir, identity: 'bundled', target: 'cpu-fast' as const };
  pipeline = await loadPipeline(
    await compileCheckpoint({ ...request, checkpointDir: join(resourcesDir, 'models/storybook-uint4') }, () => {}),
    options,
    () => {},
  );
  upscaler = await loadUpscaler(
    await compileUpscaler({ ...request, path: join(resourcesDir, 'upscalers/realesr-general-x4v3.safetensors') }, () => {}),
    options,
    () => {},
  );
});
afterAll(async () => {
  await pipeline.release();
  await upscaler.release();
  await rm(cacheDir, { recursive: true, force: true });
});

const params = { prompt: 'a red fox in the snow', steps: 2, seed: 7, guidance_scale: 0, model_type: 'uint4' as const };

test.each([
  [256, 256],
  [512, 768],
  [1024, 1024],
  [1040, 720],
])('one loaded graph makes %d x %d', async (width, height) => {
  const image = await pipeline.generate({ ...params, width, height }, silent, running);
  expect([image.width, image.height, image.data.length]).toEqual([width, height, width * height * 3]);
  // a sky is no noise: neighbours differ far less than any two pixels do
  expect(roughness(image.data, width)).toBeLessThan(0.5);
});

test('graphs that take turns in memory generate the same image', async () => {
  const request = { cacheDir, identity: 'bundled', target: 'cpu-fast' as const, checkpointDir: join(resourcesDir, 'models/storybook-uint4') };
  const inTurn = await loadPipeline(await compileCheckpoint(request, () => {}), { ...options, memory: 'in_turn' }, () => {});
  const size = { width: 256, height: 256 };
  const [one, other] = [await pipeline.generate({ ...params, ...size }, silent, running), await inTurn.generate({ ...params, ...size }, silent, running)];
  await inTurn.release();
  expect(Buffer.from(other.data).equals(Buffer.from(one.data))).toBe(true);
});

test('a size between two that the checkpoint can make is cut out of the next one up', async () => {
  const whole = await pipeline.generate({ ...params, width: 288, height: 256 }, silent, running);
  const cut = await pipeline.generate({ ...params, width: 272, height: 256 }, silent, running);
  const middle = Array.from({ length: 256 }, (_, y) => [...whole.data.subarray((y * 288 + 8) * 3, (y * 288 + 280) * 3)]).flat();
  expect([...cut.data]).toEqual(middle);
});

test('a preview per step, in the shape of the image and ever closer to it', async () => {
  const previews: RgbImage[] = [];
  const hooks = { ...silent, onPreview: (step: number, preview: RgbImage) => expect(previews.push(preview)).toBe(step) };
  const request = { cacheDir, identity: 'bundled', target: 'cpu-fast' as const, checkpointDir: join(resourcesDir, 'models/storybook-uint4') };
  const fresh = await loadPipeline(await compileCheckpoint(request, () => {}), options, () => {});
  const image = await fresh.generate({ ...params, width: 384, height: 512, steps: 9 }, hooks, running);
  await fresh.release();
  const distances = previews.map((preview) => distance(preview, image));
  expect(previews).toHaveLength(8); // the ninth step moves nothing
  expect(distances.at(-1)).toBeLessThan(distances[0] ?? 0);
  expect(distances.at(-1)).toBeLessThan(30); // of 255
  expect(previews.every(({ width, height }) => width / height === 384 / 512)).toBe(true);
});

test('the same seed gives the same image, another seed another', async () => {
  const make = (seed: number) => pipeline.generate({ ...params, width: 256, height: 256, seed }, silent, running);
  const [first, again, other] = [await make(1), await make(1), await make(2)];
  expect(again.data).toEqual(first.data);
  expect(other.data).not.toEqual(first.data);
});

test.each([1, 2, 9])('progress of %d steps counts each of them', async (steps) => {
  const generating: string[] = [];
  await pipeline.generate(
    { ...params, width: 256, height: 256, steps },
    {
      onProgress: (stage, done, total) => {
        if (stage === 'generating') generating.push(`${done}/${total}`);
      },
    },
    running,
  );
  expect(generating).toEqual(Array.from({ length: steps }, (_, i) => `${i + 1}/${steps}`));
});

test('tiles leave no seam: tiled against whole, mean within 1/255 and 99.9 % within 4/255', async () => {
  const image = await pipeline.generate({ ...params, width: 512, height: 512, steps: 9 }, silent, running);
  const tiled = await upscaler.upscale(image, silent, running);
  const whole = await upscaler.upscale(image, silent, running, { tilePixels: 512 * 512 });
  const differences = Array.from(tiled.data, (value, i) => Math.abs(value - (whole.data[i] ?? 0))).sort((a, b) => a - b);
  const mean = differences.reduce((a, b) => a + b, 0) / differences.length;
  expect(mean).toBeLessThanOrEqual(1);
  expect(differences[Math.floor(differences.length * 0.999)]).toBeLessThanOrEqual(4);
});

test('twice the sides are the means of 2 x 2 pixels of four times the sides', async () => {
  const image = { width: 40, height: 24, data: new Uint8Array(40 * 24 * 3).map((_, i) => (i * 7) % 251) };
  const whole = await upscaler.upscale(image, silent, running, { tilePixels: 300 });
  const half = await upscaler.upscale(image, silent, running, { tilePixels: 300, scale: 2 });
  expect([half.width, half.height]).toEqual([80, 48]);
  const [x, y, channel] = [33, 21, 1];
  const corners = [0, 1].flatMap((dy) => [0, 1].map((dx) => whole.data[((2 * y + dy) * 160 + 2 * x + dx) * 3 + channel] ?? 0));
  expect(half.data[(y * 80 + x) * 3 + channel]).toBe(Math.round(corners.reduce((a, b) => a + b, 0) / 4));
});

test('alpha is upscaled beside the colours, which stay the same; an alpha of one value stays that value', async () => {
  const image = { width: 32, height: 32, data: new Uint8Array(32 * 32 * 3).map((_, i) => (i * 7) % 251) };
  const plain = await upscaler.upscale(image, silent, running);
  const halves = new Uint8Array(32 * 32).map((_, i) => (i % 32 < 16 ? 0 : 255));
  const result = await upscaler.upscale({ ...image, alpha: halves }, silent, running);
  expect(result.data).toEqual(plain.data);
  const row = result.alpha?.subarray(64 * 128, 65 * 128) ?? [];
  expect([row.length, (row[8] ?? 255) < 16, (row[120] ?? 0) > 240]).toEqual([128, true, true]);
  const opaque = await upscaler.upscale({ ...image, alpha: new Uint8Array(32 * 32).fill(77) }, silent, running);
  expect(opaque.alpha?.every((value) => value === 77)).toBe(true);
});

test.each([
  ['generating', 'encoding 1/1', 'generating 1/2'],
  ['decoding', 'decoding 0/1', 'decoding 1/1'],
])('cancel is obeyed in the middle of %s', async (_, before, after) => {
  const signal = { cancelled: false };
  const heard: string[] = [];
  const onProgress = (stage: string, done: number, total: number) => {
    if (heard.push(`${stage} ${done}/${total}`) && heard.at(-1) === before) setTimeout(() => Object.assign(signal, { cancelled: true }), 20);
  };
  const stopped = pipeline.generate({ ...params, width: 1024, height: 1024 }, { onProgress }, signal);
  await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
  expect(heard).toContain(before);
  expect(heard).not.toContain(after);
});

test('cancel is obeyed between steps and between tiles', async () => {
  const signal = { cancelled: false };
  let steps = 0;
  const stopped = pipeline.generate(
    { ...params, width: 256, height: 256, steps: 50 },
    {
      onProgress: (stage, done) => {
        if (stage === 'generating') steps = done;
        if (steps === 3) signal.cancelled = true;
      },
    },
    signal,
  );
  await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
  expect(steps).toBe(3);

  const tileSignal = { cancelled: false };
  let tiles = 0;
  const image = { width: 512, height: 512, data: new Uint8Array(512 * 512 * 3).map((_, i) => i % 251) };
  const cut = upscaler.upscale(
    image,
    {
      onProgress: (_, done) => {
        tiles = done;
        if (done === 1) tileSignal.cancelled = true;
      },
    },
    tileSignal,
  );
  await expect(cut).rejects.toMatchObject({ code: 'cancelled' });
  expect(tiles).toBe(1);
});

/** Mean difference of horizontal neighbours over the mean difference of pixels far apart. */
function roughness(data: Uint8Array, width: number): number {
  let near = 0;
  let far = 0;
  for (let i = 0; i + width * 3 * 64 < data.length; i += 3) {
    near += Math.abs((data[i] ?? 0) - (data[i + 3] ?? 0));
    far += Math.abs((data[i] ?? 0) - (data[i + width * 3 * 64] ?? 0));
  }
  return near / Math.max(far, 1);
}

/** Root of the mean squared difference between a preview's pixels and the means of the image's blocks that they represent. */
function distance(preview: RgbImage, image: RgbImage): number {
  const scale = image.width / preview.width;
  let sum = 0;
  for (let y = 0; y < preview.height; y++) {
    for (let x = 0; x < preview.width; x++) {
      for (let color = 0; color < 3; color++) {
        let block = 0;
        for (let dy = 0; dy < scale; dy++) {
          for (let dx = 0; dx < scale; dx++) block += image.data[((y * scale + dy) * image.width + x * scale + dx) * 3 + color] ?? 0;
        }
        sum += (block / (scale * scale) - (preview.data[(y * preview.width + x) * 3 + color] ?? 0)) ** 2;
      }
    }
  }
  return Math.sqrt(sum / (preview.width * preview.height * 3));
}
