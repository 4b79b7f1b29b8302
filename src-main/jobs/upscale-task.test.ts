import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { UpscaleTask } from '#main/engine/engine.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { recipeSchema } from '#shared/domain/recipe.ts';
import { type CreateJob, clientMessageSchema } from '#shared/protocol/messages.ts';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../tests/support/jobs-room.ts';

const IMAGE = 'd'.repeat(64);

function upscaleMessage(params: Record<string, unknown>): CreateJob {
  const message = clientMessageSchema.parse({ type: 'create_job', task_type: 'upscale', request_id: 'r', params });
  if (message.type !== 'create_job') throw new Error('not a create_job');
  return message;
}

/** The job id, or why it was refused. */
async function upscale(client: TestClient, params: Record<string, unknown>): Promise<string> {
  const refused: unknown[] = [];
  await client.connection.create(upscaleMessage(params), (reason) => refused.push(reason));
  for (const reason of refused) throw reason;
  return client.statuses().at(-1)?.job_id ?? '';
}

describe('upscale as a task', () => {
  test('makes one image from an upload, through the states of the contract', async () => {
    const room = createTestRoom();
    room.inputs.add(IMAGE);
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await upscale(client, { image: IMAGE, scale: 2 });
    const task = await engine.task(0);
    expect(task.kind).toBe('upscale');
    expect(task.task).toMatchObject({ inputPath: `/uploads/${IMAGE}.png`, scale: 2, startsJob: true } satisfies Partial<UpscaleTask>);
    task.hooks.onProgress({ stage: 'upscaling', done: 1, total: 4 });
    await task.finish();
    await client.until('completed');
    expect(client.story()).toEqual(['pending r', 'processing r', 'generated r', 'completed r']);
    expect(engine.tasks).toHaveLength(1);
    const filename = `20260204-upscaled-${jobId.slice(0, 8)}.png`;
    expect(client.statuses().at(-1)?.result).toEqual({ filename, path: `outputs/${filename}` });
    expect(client.progress()[0]?.progress).toMatchObject({ stage: 'upscaling', current_step: 1, total_steps: 4, percentage: 25 });
    expect(jobs.get(jobId)).toMatchObject({
      task_type: 'upscale',
      params: { image: IMAGE, scale: 2, upscaler: 'general-x4v3', width: 128, height: 96 },
      checkpoint: null,
      upscaler: 'general-x4v3',
    });
    expect(await jobs.imageFile(filename)).toBe(join(room.outputsDir, filename));
  });

  test('its file carries a recipe with the hash of the image', async () => {
    const room = createTestRoom();
    room.inputs.add(IMAGE);
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    await upscale(client, { image: IMAGE });
    await client.until('completed');
    const texts = readPngTexts(readFileSync(join(room.outputsDir, client.statuses().at(-1)?.result?.filename ?? '')));
    const text = texts.find(({ keyword }) => keyword === 'zimage-recipe')?.text ?? '';
    expect(texts.some(({ keyword }) => keyword === 'parameters')).toBe(false);
    expect(recipeSchema.parse(JSON.parse(text))).toMatchObject({ task_type: 'upscale', role: 'upscaled', params: { image: IMAGE, scale: 4 } });
  });

  test('the same image by its id and by its file name is one job; sent twice at once it runs once', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ runsAlone: true });
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    await client.create('a cat');
    await client.until('completed');
    const filename = client.statuses().at(-1)?.result?.filename ?? '';
    const [byName, again] = await Promise.all([upscale(client, { image: filename }), upscale(new TestClient(jobs, 'b'), { image: filename })]);
    await client.until('completed', byName);
    const [id] = room.inputs.kept.keys();
    expect(again).toBe(byName);
    expect(await upscale(client, { image: id })).toBe(byName);
    expect(client.statuses().at(-1)).toMatchObject({ status: 'completed', cached: true });
    expect(engine.tasks).toHaveLength(3);
    expect(await upscale(client, { image: id, scale: 2 })).not.toBe(byName);
  });

  test.each([
    ['an unknown id', { image: 'e'.repeat(64) }, 'unknown_image', 'image'],
    ['an unknown file name', { image: 'cat.png' }, 'unknown_image', 'image'],
    ['a path', { image: '../data/jobs.db' }, 'unknown_image', 'image'],
    ['an unknown upscaler', { image: IMAGE, upscaler: 'best' }, 'bad_param', 'upscaler'],
  ])('%s is refused with its field, and nothing is left behind', async (_, params, code, field) => {
    const room = createTestRoom();
    room.inputs.add(IMAGE);
    const jobs = await room.open(new SteppedEngine());
    await expect(upscale(new TestClient(jobs, 'a'), params)).rejects.toMatchObject({ code, data: { field } });
    expect(jobs.list({ limit: 10 })).toEqual({ jobs: [], next: null });
    expect([...room.inputs.kept.keys()]).toEqual([IMAGE]);
  });

  test('an image made here that is too large is refused', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    await client.create('a cat');
    await client.until('completed');
    room.inputs.isTooLarge = true;
    const image = client.statuses().at(-1)?.result?.filename;
    await expect(upscale(client, { image })).rejects.toMatchObject({ code: 'bad_param', data: { field: 'image' } });
  });

  test('an upload is kept as long as a job refers to it', async () => {
    const room = createTestRoom();
    room.inputs.add(IMAGE);
    room.inputs.add('f'.repeat(64));
    const jobs = await room.open(new SteppedEngine());
    await upscale(new TestClient(jobs, 'a'), { image: IMAGE });
    await jobs.close('now');
    room.inputs.isOld = true;
    await room.open(new SteppedEngine());
    await expect.poll(() => [...room.inputs.kept.keys()]).toEqual([IMAGE]);
  });

  test('a restart continues a job, and takes over an image that was written before it', async () => {
    const room = createTestRoom();
    room.inputs.add(IMAGE);
    const jobs = await room.open(new SteppedEngine());
    const jobId = await upscale(new TestClient(jobs, 'a'), { image: IMAGE });
    await jobs.close('now');
    const reopened = await room.open(new SteppedEngine({ runsAlone: true }));
    await expect.poll(() => reopened.get(jobId)?.status).toBe('completed');
  });

  test('a lost database is filled again from the recipe', async () => {
    const room = createTestRoom();
    room.inputs.add(IMAGE);
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    const jobId = await upscale(client, { image: IMAGE });
    await client.until('completed');
    const record = jobs.get(jobId);
    await jobs.close('park');
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(room.dataDir, `jobs.db${suffix}`), { force: true });
    const found = (await room.open(new SteppedEngine())).get(jobId);
    expect(found).toMatchObject({ task_type: 'upscale', status: 'completed', params: record?.params, result: record?.result });
  });
});

describe('upscale of an image from text', () => {
  test.each([
    ['absent', {}, true],
    ['4', { upscale: 4 }, true],
    ['2', { upscale: 2 }, false],
    ['false', { upscale: false }, false],
  ])('%s: the default leaves the job_id as it is', async (_, params, isSame) => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine());
    const jobId = await new TestClient(jobs, null).create('x', undefined, params);
    // the digest of the canonical JSON with identity-uint4 and identity-x4, by Python's hashlib
    expect(jobId === '4499d3e5bc78ee391588525a57a99336ffae8b0372f11f38dcda015dec6b713c').toBe(isSame);
  });

  test('false: generated, then completed with the same file and no other', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ runsAlone: true });
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('a cat', 'r', { upscale: false });
    await client.until('completed');
    expect(client.story()).toEqual(['pending r', 'processing r', 'generated r', 'completed r']);
    const filename = `20260204-a-cat-${jobId.slice(0, 8)}.png`;
    expect(client.statuses().at(-1)?.result).toEqual({ filename, path: `outputs/${filename}` });
    expect(engine.tasks.map(({ kind }) => kind)).toEqual(['generate']);
    expect(jobs.get(jobId)).toMatchObject({ upscaler: null, params: { upscale: false } });
    await client.create('a cat', 'r2', { upscale: false });
    expect(client.statuses().at(-1)).toMatchObject({ status: 'completed', cached: true });
  });

  test('2: the second task upscales twice', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ runsAlone: true });
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    await client.create('a cat', 'r', { upscale: 2 });
    await client.until('completed');
    expect(engine.tasks[1]?.task).toMatchObject({ scale: 2, startsJob: false });
    expect(client.statuses().at(-1)?.result?.upscaled_filename).toMatch(/-upscaled\.png$/);
  });
});
