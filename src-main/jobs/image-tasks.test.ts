import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { recipeSchema } from '#shared/domain/recipe.ts';
import { clientMessageSchema } from '#shared/protocol/messages.ts';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../tests/support/jobs-room.ts';

const IMAGE = 'd'.repeat(64);
const MASK = 'e'.repeat(64);
const CONTROL = 'c'.repeat(64);
const base = { prompt: 'a cat', width: 256, height: 256, image: IMAGE };

/** The job id, or why it was refused. */
async function request(client: TestClient, task_type: string, params: Record<string, unknown>): Promise<string> {
  const message = clientMessageSchema.parse({ type: 'create_job', task_type, request_id: 'r', params });
  if (message.type !== 'create_job') throw new Error('not a create_job');
  const refused: unknown[] = [];
  await client.connection.create(message, (reason) => refused.push(reason));
  for (const reason of refused) throw reason;
  return client.statuses().at(-1)?.job_id ?? '';
}

async function openRoom() {
  const room = createTestRoom();
  room.inputs.add(IMAGE);
  room.inputs.add(MASK);
  room.registry.loraFiles = [
    { name: 'ink', path: '/loras/ink.safetensors', fingerprint: 'ink-1', sizeBytes: 1 },
    { name: 'wax', path: '/loras/wax.safetensors', fingerprint: 'wax-1', sizeBytes: 1 },
  ];
  room.registry.controlNetFiles = [{ name: 'union', path: '/controlnets/union.safetensors', fingerprint: 'union-1', sizeBytes: 1 }];
  const engine = new SteppedEngine({ runsAlone: true });
  const jobs = await room.open(engine);
  return { room, engine, jobs, client: new TestClient(jobs, 'a') };
}

describe('what reaches the engine', () => {
  test.each([
    ['image_to_image', base, { source: { path: `/uploads/${IMAGE}.png`, strength: 0.6, fit: 'cover' } }],
    [
      'inpaint',
      { ...base, mask: MASK, feather: 8, composite: false },
      {
        source: { path: `/uploads/${IMAGE}.png`, strength: 1, fit: 'cover' },
        mask: { path: `/uploads/${MASK}.png`, expand: null, onlyMasked: null, featherPx: 8, composite: false },
      },
    ],
    [
      'inpaint',
      { ...base, expand: { right: 64 } },
      {
        source: { path: `/uploads/${IMAGE}.png`, strength: 1, fit: 'cover' },
        mask: { path: null, expand: { left: 0, top: 0, right: 64, bottom: 0 }, onlyMasked: null, featherPx: 0, composite: true },
      },
    ],
    [
      'inpaint',
      { ...base, mask: MASK, only_masked: true },
      {
        source: { path: `/uploads/${IMAGE}.png`, strength: 1, fit: 'cover' },
        mask: { path: `/uploads/${MASK}.png`, expand: null, onlyMasked: { paddingPx: 32 }, featherPx: 0, composite: true },
      },
    ],
    [
      'text_to_image',
      { prompt: 'a cat', control: { image: IMAGE, model: 'union', end: 0.5 } },
      {
        control: {
          ...{ path: `/uploads/${IMAGE}.png`, file: '/controlnets/union.safetensors', name: 'union', identity: 'union-1' },
          ...{ scale: 0.75, start: 0, end: 0.5, preprocess: 'none' },
        },
      },
    ],
    [
      'text_to_image',
      { prompt: 'a cat', negative_prompt: 'a dog', loras: [{ name: 'wax', weight: 0.5 }, { name: 'ink' }] },
      {
        negativePrompt: 'a dog',
        loras: [
          { file: '/loras/ink.safetensors', name: 'ink', identity: 'ink-1', weight: 1 },
          { file: '/loras/wax.safetensors', name: 'wax', identity: 'wax-1', weight: 0.5 },
        ],
      },
    ],
    ['text_to_image', { prompt: 'a cat', negative_prompt: '', loras: [] }, undefined],
  ])('%s %j', async (task, params, files) => {
    const { engine, client } = await openRoom();
    await request(client, task, params);
    await client.until('completed');
    expect(engine.tasks[0]?.task).toEqual(expect.objectContaining(files === undefined ? { params: expect.anything() } : { files }));
    expect('files' in (engine.tasks[0]?.task ?? {})).toBe(files !== undefined);
  });
});

test('the recipe names images and LoRAs by their hashes', async () => {
  const { room, client } = await openRoom();
  const control = { image: IMAGE, model: 'union', preprocess: 'canny' };
  await request(client, 'inpaint', { ...base, mask: MASK, strength: 0.5, loras: [{ name: 'ink', weight: 0.7 }], control });
  await client.until('completed');
  const texts = readPngTexts(readFileSync(join(room.outputsDir, client.statuses().at(-1)?.result?.filename ?? '')));
  const recipe = recipeSchema.parse(JSON.parse(texts.find(({ keyword }) => keyword === 'zimage-recipe')?.text ?? ''));
  expect(recipe).toMatchObject({
    task_type: 'inpaint',
    params: { image: IMAGE, mask: MASK, strength: 0.5, loras: [{ name: 'ink', weight: 0.7, identity: 'ink-1' }], control: { ...control, identity: 'union-1' } },
  });
  expect(texts.find(({ keyword }) => keyword === 'parameters')?.text).toContain('Denoising strength: 0.5');
});

test('the job_id covers the content of every file, not the order of LoRAs', async () => {
  const { room, client } = await openRoom();
  const loras = [{ name: 'ink' }, { name: 'wax' }];
  const first = await request(client, 'image_to_image', { ...base, loras });
  expect(await request(client, 'image_to_image', { ...base, loras: loras.toReversed() })).toBe(first);
  expect(await request(client, 'image_to_image', { ...base, loras, strength: 0.7 })).not.toBe(first);
  expect(await request(client, 'image_to_image', { ...base, loras, image: MASK })).not.toBe(first);
  const control = { image: MASK, model: 'union' };
  const controlled = await request(client, 'image_to_image', { ...base, loras, control });
  expect(controlled).not.toBe(first);
  expect(await request(client, 'image_to_image', { ...base, loras, control: { ...control, scale: 0.75, start: 0, end: 1, preprocess: 'none' } })).toBe(
    controlled,
  );
  expect(await request(client, 'image_to_image', { ...base, loras, control: { ...control, scale: 0.5 } })).not.toBe(controlled);
  expect(await request(client, 'image_to_image', { ...base, loras, control: { ...control, image: IMAGE } })).not.toBe(controlled);
  room.registry.controlNetFiles = room.registry.controlNetFiles.map((file) => ({ ...file, fingerprint: 'union-edited' }));
  expect(await request(client, 'image_to_image', { ...base, loras, control })).not.toBe(controlled);
  room.registry.loraFiles = room.registry.loraFiles.map((lora) => ({ ...lora, fingerprint: `${lora.fingerprint}-edited` }));
  expect(await request(client, 'image_to_image', { ...base, loras })).not.toBe(first);
});

test('progress counts the steps that run', async () => {
  const { engine, client } = await openRoom();
  await request(client, 'image_to_image', { ...base, steps: 9, strength: 0.6 });
  await client.until('completed');
  expect(engine.tasks).toHaveLength(2);
  // 8 forwards, of which the first 3 are left out
  expect(client.progress()[0]?.progress.total_steps).toBe(6);
});

test.each([
  ['a mask of another size', { mask: MASK }, 'mask', 'mask'],
  ['a mask that repaints nothing', { mask: MASK }, 'empty', 'mask'],
  ['an image with too few pixels', { mask: MASK }, 'small', 'image'],
  ['a mask that was never uploaded', { mask: 'f'.repeat(64) }, 'none', 'mask'],
  ['a LoRA that is not installed', { mask: MASK, loras: [{ name: 'oil' }] }, 'none', 'loras'],
  ['a control image that was never uploaded', { mask: MASK, control: { image: 'f'.repeat(64), model: 'union' } }, 'none', 'control.image'],
  ['a control image with too few pixels', { mask: MASK, control: { image: CONTROL, model: 'union' } }, 'none', 'control.image'],
  ['a ControlNet that is not installed', { mask: MASK, control: { image: IMAGE, model: 'depth' } }, 'none', 'control.model'],
  ['an only_masked image that expand makes too large', { only_masked: true, expand: { right: 2048, bottom: 2048 } }, 'large', 'expand'],
  ['a LoRA named twice', { mask: MASK, loras: [{ name: 'ink' }, { name: 'ink', weight: 0.5 }] }, 'none', 'loras'],
])('%s is refused with its field, and nothing is left behind', async (_, params, fault, field) => {
  const { room, client, jobs } = await openRoom();
  if (fault === 'mask') room.inputs.kept.set(MASK, { id: MASK, path: '/mask.png', width: 32, height: 48 });
  room.inputs.kept.set(CONTROL, { id: CONTROL, path: '/control.png', width: 8, height: 64 });
  if (fault === 'large') room.inputs.kept.set(IMAGE, { id: IMAGE, path: '/large.png', width: 4096, height: 4096 });
  if (fault === 'empty') room.inputs.empty.add(MASK);
  if (fault === 'small') room.inputs.kept.set(IMAGE, { id: IMAGE, path: '/small.png', width: 15, height: 64 });
  await expect(request(client, 'inpaint', { ...base, ...params })).rejects.toMatchObject({ data: { field } });
  expect(jobs.list({ limit: 10 })).toEqual({ jobs: [], next: null });
});

test('an only_masked job makes the masked part in the requested size and an image as large as its source', async () => {
  const { engine, client, jobs } = await openRoom();
  const id = await request(client, 'inpaint', { ...base, mask: MASK, only_masked: true, padding: 8, expand: { left: 16 } });
  await client.until('completed');
  expect(engine.tasks[0]?.task).toMatchObject({ params: { width: 256, height: 256 } });
  expect(jobs.list({ limit: 1 }).jobs[0]).toMatchObject({
    job_id: id,
    params: { width: 80, height: 48, only_masked: true, padding: 8, masked_size: { width: 256, height: 256 } },
  });
  expect(await request(client, 'inpaint', { ...base, mask: MASK, only_masked: false, expand: { left: 16 } })).not.toBe(id);
  expect(await request(client, 'inpaint', { ...base, mask: MASK, only_masked: true, padding: 9, expand: { left: 16 } })).not.toBe(id);
});

test('mask, image and control image are kept as long as the job is', async () => {
  const { room, client, jobs } = await openRoom();
  room.inputs.add(CONTROL);
  await request(client, 'inpaint', { ...base, mask: MASK });
  await client.until('completed');
  await request(client, 'text_to_image', { prompt: 'a cat', control: { image: CONTROL, model: 'union' } });
  await client.until('completed');
  room.inputs.add('f'.repeat(64));
  await jobs.close('park');
  room.inputs.isOld = true;
  await room.open(new SteppedEngine());
  await expect.poll(() => [...room.inputs.kept.keys()]).toEqual([IMAGE, MASK, CONTROL]);
});
