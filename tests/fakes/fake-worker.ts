import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ModelRunner } from '#main/engine/model-runner.ts';
import { openParentPort } from '#main/engine/parent-port.ts';
import type { GenerateRequest, UpscaleRequest } from '#main/engine/protocol.ts';
import { runWorker } from '#main/engine/run-worker.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { FAKE_ENGINE_VARIABLE, fakeBehaviourSchema, parseFault } from './fake-fault.ts';

/** The engine's process with a painter in place of the models. See `fake-engine.ts`. */

const TILES = 4;
const PREVIEW_SCALE = 16;

const behaviour = fakeBehaviourSchema.parse(JSON.parse(process.env[FAKE_ENGINE_VARIABLE] ?? '{"stepMs":5,"faults":[]}'));
const port = openParentPort();
let tasks = 0;
let isLoaded = false;

let faultNow: { id: number; kind: string; place: string } | null = null;

const runner: ModelRunner = {
  async generate(request, hooks, signal) {
    const { width, height, steps, seed, prompt } = request.params;
    const run = begin(request, signal);
    await run.reach('loading');
    if (!isLoaded) {
      hooks.onProgress('loading', 1, 1);
      isLoaded = true;
    }
    await run.reach('encoding');
    hooks.onProgress('encoding', 1, 1);
    for (let step = 1; step <= steps; step++) {
      await run.reach(step);
      hooks.onPreview?.(step, paint(width / PREVIEW_SCALE, height / PREVIEW_SCALE, seed + step, prompt));
      if (behaviour.traceFile !== undefined) appendFileSync(behaviour.traceFile, `${step} ${process.hrtime.bigint()}\n`);
      hooks.onProgress('generating', step, steps);
    }
    await run.reach('decoding');
    hooks.onProgress('decoding', 1, 1);
    return paint(width, height, seed, prompt);
  },

  async upscale(request, input, hooks, signal) {
    const run = begin(request, signal);
    for (let tile = 1; tile <= TILES; tile++) {
      await run.reach(tile);
      hooks.onProgress('upscaling', tile, TILES);
    }
    return upscale(input, request.scale ?? 4);
  },
};

function begin(request: GenerateRequest | UpscaleRequest, signal: AbortSignal): { reach(place: number | string): Promise<void> } {
  const fault = behaviour.faults[tasks++] ?? null;
  faultNow = fault === null ? null : { id: request.id, ...parseFault(fault) };
  return {
    async reach(place) {
      await sleep(behaviour.stepMs);
      await misbehave(request.id, String(place));
      if (signal.aborted) throw new AppError('cancelled', 'The task was cancelled.', {});
    },
  };
}

async function misbehave(id: number, place: string): Promise<void> {
  if (faultNow === null || faultNow.id !== id || faultNow.place !== place) return;
  switch (faultNow.kind) {
    case 'crash':
      return process.exit(1);
    case 'oom':
      return process.exit(137);
    case 'hang':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      return;
    case 'stall':
      return new Promise(() => {});
    case 'garbage':
      process.send?.({ type: 'done', id: 'none', report: 'nothing' });
      return;
    case 'nan':
      throw new AppError('latents_not_finite', `The latents of step ${place} are not finite.`, { step: Number(place) });
  }
}

/** A gradient whose colours follow from the seed and the prompt. */
function paint(width: number, height: number, seed: number, prompt: string): RgbImage {
  const data = new Uint8Array(width * height * 3);
  const base = seed * 2_654_435_761 + [...prompt].reduce((sum, letter) => sum * 31 + (letter.codePointAt(0) ?? 0), 7);
  const [red, green, blue] = [base % 251, base % 241, base % 239];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[at++] = (red + Math.floor((x * 255) / width)) & 255;
      data[at++] = (green + Math.floor((y * 255) / height)) & 255;
      data[at++] = (blue + Math.floor(((x + y) * 255) / (width + height))) & 255;
    }
  }
  return { width, height, data };
}

/** Each pixel `scale` times in both directions. */
function upscale({ width, height, data }: RgbImage, scale: number): RgbImage {
  const out = new Uint8Array(data.length * scale * scale);
  for (let y = 0, at = 0; y < height * scale; y++) {
    const row = Math.floor(y / scale) * width;
    for (let x = 0; x < width * scale; x++) {
      const from = (row + Math.floor(x / scale)) * 3;
      for (let channel = 0; channel < 3; channel++) out[at++] = data[from + channel] ?? 0;
    }
  }
  return { width: width * scale, height: height * scale, data: out };
}

runWorker(
  {
    ...port,
    send(message) {
      port.send(message);
      // encoding begins right after this
      if (message.type === 'event' && message.name === 'modelDone' && faultNow !== null) void misbehave(faultNow.id, 'saving');
    },
  },
  () => {
    for (let i = 0; i < behaviour.busyThreads; i++) new Worker(new URL('busy-thread.ts', import.meta.url));
    return runner;
  },
  async () => ({ binding: 'node', reason: 'a fake calls none' }),
);
