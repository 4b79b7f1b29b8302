import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { WireError } from '#shared/protocol/errors.ts';
import type { ModelRunner } from './model-runner.ts';
import type { GenerateRequest, UpscaleRequest } from './protocol.ts';
import { createThreadRunner } from './thread-runner.ts';

const entry = resolve(import.meta.dirname, '../../tests/fakes/fake-model-thread.ts');
const config = { device: 'cpu', deviceReason: 'the only one', threads: 2, cacheDir: '/cache' } as const;

function createRunner(onDeath: (error: WireError) => void = () => {}): ModelRunner {
  return createThreadRunner(entry, config, onDeath);
}

function order(prompt: string, changes: Partial<GenerateRequest> = {}): GenerateRequest {
  const params = { prompt, width: 8, height: 4, steps: 3, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
  const files = { checkpointDir: '/checkpoint', checkpointIdentity: 'id', outputPath: '/a.png', provenance: null };
  return { id: 1, accuracy: 'fast', memory: 'resident', params, previews: false, ...files, ...changes };
}

const never = new AbortController().signal;

test('an image, with its progress; the second one loads nothing', async () => {
  const runner = createRunner();
  const heard: string[] = [];
  const onProgress = (stage: string, done: number, total: number) => heard.push(`${stage} ${done}/${total}`);
  const picture = await runner.generate(order('a cat'), { onProgress }, never);
  expect([picture.width, picture.height, picture.data.length, picture.data[0]]).toEqual([8, 4, 96, 7]);
  const steps = ['generating 1/3', 'generating 2/3', 'generating 3/3'];
  // compiling is the first half of loading; what comes within a tenth of a second of it is left out
  expect(heard).toEqual(['loading 500/1000', 'loading 1000/1000', ...steps]);
  await runner.generate(order('a cat', { id: 2 }), { onProgress }, never);
  expect(heard.slice(5)).toEqual(steps);
});

test('the memory plan is reported before parts are loaded and before each image', async () => {
  const runner = createRunner();
  const plans: unknown[] = [];
  const hooks = { onProgress: () => {}, onPlanned: (decision: object) => plans.push(decision) };
  await runner.generate(order('a cat', { memory: 'auto' }), hooks, never);
  await runner.generate(order('a cat', { memory: 'auto', id: 2 }), hooks, never);
  // four parts of 1 GB, and 0.6 GB for the rest; 16 GB are free
  const planned = { plan: 'resident', needBytes: 4.6e9, freeBytes: 16e9, next: 'text_freed' };
  expect(plans).toEqual([planned, planned]);
});

test('previews where they are asked for', async () => {
  const previews: number[] = [];
  const hooks = { onProgress: () => {}, onPreview: (step: number) => previews.push(step) };
  await createRunner().generate(order('a cat', { previews: true }), hooks, never);
  expect(previews).toEqual([1]);
});

test('an upscaled image', async () => {
  const upscale: UpscaleRequest = {
    id: 1,
    accuracy: 'fast',
    upscalerPath: '/u',
    upscalerIdentity: 'u',
    onCpu: false,
    inputPath: '/a.png',
    outputPath: '/b.png',
    provenance: null,
  };
  const picture = await createRunner().upscale(upscale, { width: 2, height: 1, data: new Uint8Array(6).fill(9) }, { onProgress: () => {} }, never);
  expect([picture.width, picture.height, picture.data.length, picture.data[95]]).toEqual([8, 4, 96, 9]);
});

test('a cancel reaches a thread that hears no message; the next task is not cancelled', async () => {
  const runner = createRunner();
  const controller = new AbortController();
  const long = order('a cat', { params: { ...order('').params, prompt: 'a cat', steps: 50 } });
  let steps = 0;
  const onProgress = (stage: string) => {
    if (stage !== 'generating') return;
    steps++;
    controller.abort();
  };
  await expect(runner.generate(long, { onProgress }, controller.signal)).rejects.toMatchObject({ code: 'cancelled' });
  expect(steps).toBeLessThan(50);
  await expect(runner.generate(order('a cat', { id: 2 }), { onProgress: () => {} }, never)).resolves.toMatchObject({ width: 8 });
});

test('what the model throws comes as engine_failed, with everything that it was given', async () => {
  await expect(createRunner().generate(order('throw'), { onProgress: () => {} }, never)).rejects.toMatchObject({
    code: 'engine_failed',
    message: expect.stringContaining('/checkpoint id /cache cpu-fast on 2 threads'),
  });
});

test('memory that the system refuses has its code', async () => {
  await expect(createRunner().generate(order('overflow'), { onProgress: () => {} }, never)).rejects.toMatchObject({ code: 'engine_out_of_memory' });
});

test('another checkpoint in the same process is refused, never run wrong', async () => {
  const runner = createRunner();
  await runner.generate(order('a cat'), { onProgress: () => {} }, never);
  await expect(runner.generate(order('a cat', { id: 2, checkpointIdentity: 'other' }), { onProgress: () => {} }, never)).rejects.toMatchObject({
    code: 'engine_failed',
    message: expect.stringContaining('another process'),
  });
});

test('the death of the thread is reported', async () => {
  const error = await new Promise<WireError>((resolve) => {
    const runner = createRunner(resolve);
    void runner.generate(order('exit'), { onProgress: () => {} }, never);
  });
  expect(error).toMatchObject({ code: 'engine_crashed', message: expect.stringContaining('3') });
});
