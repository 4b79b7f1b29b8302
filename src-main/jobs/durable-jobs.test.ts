import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { recipeSchema } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, turns } from '../../tests/support/jobs-room.ts';

describe('a job from request to both images', () => {
  test('statuses, steps and results come in the order of the contract', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('A cat, asleep', 'r1');
    await client.until('completed');
    expect(client.story()).toEqual(['pending r1', 'processing r1', 'generated r1', 'completed r1']);
    const original = `20260204-a-cat-asleep-${jobId.slice(0, 8)}.png`;
    const upscaled = original.replace('.png', '-upscaled.png');
    const [, , generated, completed] = client.statuses();
    expect(generated?.result).toEqual({ filename: original, local_path: `outputs/${original}` });
    expect(completed?.result).toEqual({ filename: original, path: `outputs/${original}`, upscaled_filename: upscaled });
    expect(client.progress().map(({ progress }) => [progress.stage, progress.current_step, progress.percentage])).toEqual(
      [11, 22, 33, 44, 55, 66, 77, 88, 100].map((percentage, index) => ['generating', index + 1, percentage]),
    );
    const order = client.received.map((message) => (message.type === 'job_status' ? message.status : message.type));
    expect(order.slice(0, 3)).toEqual(['pending', 'processing', 'job_progress']);
    expect(order.slice(-2)).toEqual(['generated', 'completed']);
    expect(readdirSync(room.outputsDir).sort()).toEqual(['.bin', upscaled, original].sort());
    expect(await jobs.imageFile(original)).toBe(join(room.outputsDir, original));
    expect(await jobs.imageFile(upscaled)).toBe(join(room.outputsDir, upscaled));
    expect(room.errors).toEqual([]);
  });

  test('both files carry the recipe and the settings line', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, null);
    const jobId = await client.create('a cat', undefined, { seed: 7, steps: 3 });
    await client.until('completed');
    const greyHash = createHash('sha256').update(new Uint8Array(12).fill(128)).digest('hex');
    for (const [role, suffix] of [
      ['original', ''],
      ['upscaled', '-upscaled'],
    ] as const) {
      const texts = readPngTexts(readFileSync(join(room.outputsDir, `20260204-a-cat-${jobId.slice(0, 8)}${suffix}.png`)));
      const recipe = recipeSchema.parse(JSON.parse(texts.find(({ keyword }) => keyword === 'zimage-recipe')?.text ?? ''));
      expect(recipe).toEqual({
        version: 2,
        role,
        job_id: jobId,
        task_type: 'text_to_image',
        params: { prompt: 'a cat', width: 256, height: 256, steps: 3, guidance_scale: 0, seed: 7, model_type: 'uint4' },
        checkpoint: { name: 'storybook-uint4', identity: 'identity-uint4' },
        upscaler: { name: 'general-x4v3', identity: 'identity-x4' },
        program: { name: 'Z-Image-Turbo Studio', version: '1.2.3' },
        created_at: room.clock.ms / 1000,
        made_on: expect.objectContaining({ device: 'cpu', provider: 'cpu', accuracy: 'exact', onnxruntime: expect.stringMatching(/^1\./) }),
        pixels: { width: 2, height: 2, sha256: greyHash },
        original_sha256: role === 'upscaled' ? greyHash : null,
      });
      expect(texts.find(({ keyword }) => keyword === 'parameters')?.text).toMatch(
        /^a cat\nSteps: 3, Sampler: Euler, CFG scale: 0, Seed: 7, Size: 256x256, Model: storybook-uint4/,
      );
    }
  });

  test('the job_id depends on params, checkpoint and upscaler only', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine());
    const [one, two] = [new TestClient(jobs, 'a'), new TestClient(jobs, null)];
    const jobId = await one.create('x', 'r1');
    expect(await two.create('x', 'r2', { steps: 9, seed: 42.0 })).toBe(jobId);
    expect(await two.create('x', 'r3', { model_type: 'int8' })).not.toBe(jobId);
    const json =
      '{"checkpointIdentity":"identity-uint4","params":{"guidance_scale":0,"height":256,"model_type":"uint4","prompt":"x","seed":42,"steps":9,"width":256},"taskType":"text_to_image","upscalerIdentity":"identity-x4"}';
    expect(jobId).toBe(createHash('sha256').update(json).digest('hex'));
  });

  test('a failure has code and message, keeps an existing original, and the queue continues', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const first = await client.create('first', 'r1');
    const second = await client.create('second', 'r2');
    (await engine.task(0)).fail(new AppError('engine_out_of_memory', 'No memory.', {}));
    await client.until('failed', first);
    expect(client.statuses().findLast(({ job_id }) => job_id === first)).toMatchObject({ error: 'No memory.', code: 'engine_out_of_memory' });
    await (await engine.task(1)).finish();
    (await engine.task(2)).fail(new Error('odd'));
    await client.until('failed', second);
    const failed = client.statuses().findLast(({ job_id }) => job_id === second);
    expect(failed).toMatchObject({ code: 'internal', error: 'odd', result: { filename: `20260204-second-${second.slice(0, 8)}.png` } });
    expect(room.errors).toEqual(['a job failed', 'a job failed']);
  });
});

describe('the same params again', () => {
  test('running: a second request joins and receives the current state, one run', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [a, b] = [new TestClient(jobs, 'a'), new TestClient(jobs, null)];
    await a.create('x', 'ra');
    (await engine.task(0)).step(1);
    await b.create('x', 'rb');
    expect(b.story()).toEqual(['processing rb']);
    await (await engine.task(0)).finish();
    await (await engine.task(1)).finish();
    await Promise.all([a.until('completed'), b.until('completed')]);
    expect(b.story()).toEqual(['processing rb', 'generated rb', 'completed rb']);
    expect(a.story()).toEqual(['pending ra', 'processing ra', 'generated ra', 'completed ra']);
    expect(engine.tasks).toHaveLength(2);
  });

  test('completed: answered at once from the files, marked as cached, to that client only', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ runsAlone: true });
    const jobs = await room.open(engine);
    const [a, b] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'b')];
    await a.create('x', 'r1');
    await a.until('completed');
    await b.create('x', 'r2');
    expect(b.statuses()).toEqual([expect.objectContaining({ status: 'completed', cached: true, request_id: 'r2' })]);
    expect(a.story()).toHaveLength(4);
    expect(engine.tasks).toHaveLength(2);
  });

  test.each(['original', 'upscaled'] as const)('the %s deleted under us: it runs again under the same id and name', async (which) => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('x', 'r1');
    await client.until('completed');
    const { filename = '', upscaled_filename = '' } = client.statuses().at(-1)?.result ?? {};
    rmSync(join(room.outputsDir, which === 'original' ? filename : upscaled_filename));
    expect(await client.create('x', 'r2')).toBe(jobId);
    await client.until('completed');
    expect(client.story().slice(4)).toEqual(['pending r2', 'processing r2', 'generated r2', 'completed r2']);
    expect(client.statuses().at(-1)?.result?.filename).toBe(filename);
    expect([filename, upscaled_filename].map((name) => existsSync(join(room.outputsDir, name)))).toEqual([true, true]);
  });

  test('failed: it runs again, and clients that know of the failure get no message', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [a, b] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'b')];
    await a.create('x', 'ra');
    (await engine.task(0)).fail(new Error('once'));
    await a.until('failed');
    await b.create('x', 'rb');
    await (await engine.task(1)).finish();
    await b.until('generated');
    expect(b.story()).toEqual(['pending rb', 'processing rb', 'generated rb']);
    expect(a.story()).toEqual(['pending ra', 'processing ra', 'failed ra']);
  });
});

describe('cancelling', () => {
  test('pending and processing: cancelled, no file, the next one starts', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine, { limits: { running: 1 } });
    const client = new TestClient(jobs, 'a');
    const first = await client.create('first', 'r1');
    const second = await client.create('second', 'r2');
    const third = await client.create('third', 'r3');
    await client.connection.cancel(second, 'c2');
    await client.connection.cancel(first, undefined);
    expect(client.story(second)).toEqual(['pending r2', 'cancelled r2', 'cancelled c2']);
    expect(client.story(first)).toEqual(['pending r1', 'processing r1', 'cancelled r1']);
    expect((await engine.task(0)).signal.aborted).toBe(true);
    expect((await engine.task(1)).prompt).toBe('third');
    expect(client.story(third)).toEqual(['pending r3', 'processing r3']);
    expect(readdirSync(room.outputsDir)).toEqual(['.bin']);
  });

  test('an engine that finishes all the same does not make it generated', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('x', 'r1');
    const task = await engine.task(0);
    task.deaf = true;
    await client.connection.cancel(jobId, 'c');
    await task.finish();
    await client.create('y', 'r2');
    await (await engine.task(1)).finish();
    await client.until('generated');
    expect(client.story(jobId)).toEqual(['pending r1', 'processing r1', 'cancelled r1', 'cancelled c']);
    expect(jobs.get(jobId)?.status).toBe('cancelled');
    expect(readdirSync(room.outputsDir).filter((name) => !name.includes('-y-'))).toEqual(['.bin']);
  });

  test('asked for again while the cancelled run is still leaving: the new run comes after it and is complete', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('x', 'r1');
    const old = await engine.task(0);
    old.deaf = true;
    old.modelDone();
    await client.connection.cancel(jobId, undefined);
    await client.create('x', 'r2');
    await turns();
    expect(engine.tasks).toHaveLength(1);
    await old.finish();
    await (await engine.task(1)).finish();
    await (await engine.task(2)).finish();
    await client.until('completed');
    expect(client.story()).toEqual(['pending r1', 'processing r1', 'cancelled r1', 'pending r2', 'processing r2', 'generated r2', 'completed r2']);
    expect(readdirSync(room.outputsDir)).toHaveLength(3);
  });

  test('with others interested only the one who cancels reads cancelled; the last one out stops the run', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [a, b, c] = [new TestClient(jobs, 'a'), new TestClient(jobs, null), new TestClient(jobs, 'c')];
    const jobId = await a.create('x', 'ra');
    await b.create('x', 'rb');
    await c.create('x', 'rc');
    const task = await engine.task(0);
    await a.connection.cancel(jobId, undefined);
    task.step(1);
    expect(a.story()).toEqual(['pending ra', 'processing ra', 'cancelled ra']);
    expect([a.progress().length, b.progress().length, c.progress().length]).toEqual([0, 1, 1]);
    a.connection.getStatus(jobId, 'g');
    expect(a.story().at(-1)).toBe('cancelled g');
    expect(() => a.connection.cancel(jobId, undefined)).toThrow(expect.objectContaining({ code: 'not_cancellable', data: { status: 'cancelled' } }));
    await b.connection.cancel(jobId, undefined);
    expect(task.signal.aborted).toBe(false);
    expect(c.story()).toEqual(['processing rc']);
    await c.connection.cancel(jobId, undefined);
    expect(task.signal.aborted).toBe(true);
    expect(jobs.get(jobId)?.status).toBe('cancelled');
    a.connection.clientJobs({ requestId: 'l' });
    expect(a.received.at(-1)).toMatchObject({ type: 'client_jobs', request_id: 'l', jobs: [{ job_id: jobId, status: 'cancelled', result: null }] });
  });

  test('without a subscription a client cancels only jobs without subscribers', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [owner, stranger] = [new TestClient(jobs, null), new TestClient(jobs, 'z')];
    const jobId = await owner.create('x', 'r1');
    await engine.task(0);
    expect(() => stranger.connection.cancel(jobId, 'c')).toThrow(expect.objectContaining({ code: 'job_of_others' }));
    owner.connection.close();
    await stranger.connection.cancel(jobId, 'c');
    expect(stranger.story()).toEqual(['cancelled c']);
    expect(owner.story()).toEqual(['pending r1', 'processing r1']);
  });

  test.each(['generated', 'completed', 'failed', 'cancelled'] as const)('a job in %s cannot be cancelled, and nothing changes', async (status) => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('x');
    const task = await engine.task(0);
    if (status === 'failed') task.fail(new Error('so'));
    else if (status === 'cancelled') await client.connection.cancel(jobId, undefined);
    else await task.finish();
    if (status === 'completed') await (await engine.task(1)).finish();
    await client.until(status);
    const told = client.received.length;
    expect(() => client.connection.cancel(jobId, 'c')).toThrow(expect.objectContaining({ code: 'not_cancellable', data: { status } }));
    expect(jobs.get(jobId)?.status).toBe(status);
    expect(client.received).toHaveLength(told);
  });

  test('unknown ids', async () => {
    const room = createTestRoom();
    const client = new TestClient(await room.open(new SteppedEngine()), 'a');
    const unknown = expect.objectContaining({ code: 'unknown_job' });
    expect(() => client.connection.cancel('0'.repeat(64), 'c')).toThrow(unknown);
    expect(() => client.connection.getStatus('0'.repeat(64), 'c')).toThrow(unknown);
  });
});

describe('the queue', () => {
  test('requests that come at once share one look at the models; a later one looks again and finds another checkpoint', async () => {
    const room = createTestRoom();
    let looks = 0;
    const { registry } = room;
    const look = registry.checkpointFor.bind(registry);
    registry.checkpointFor = (modelType) => {
      looks++;
      return look(modelType);
    };
    const jobs = await room.open(new SteppedEngine());
    const clients = ['a', 'b', 'c'].map((name) => new TestClient(jobs, name));
    const before = await Promise.all(clients.map((client) => client.create('x')));
    expect([looks, new Set(before).size]).toEqual([1, 1]);
    for (const checkpoint of registry.checkpoints) checkpoint.fingerprint += ' edited';
    expect(before).not.toContain(await new TestClient(jobs, 'd').create('x'));
    expect(looks).toBe(2);
  });

  test('four run at most, generated counted; model work one at a time, handed on as soon as the model is free', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const ids: string[] = [];
    for (const prompt of ['1', '2', '3', '4', '5', '6']) ids.push(await client.create(prompt));
    const now = () => ids.map((jobId) => jobs.get(jobId)?.status);
    expect(now()).toEqual(['processing', 'processing', 'processing', 'processing', 'pending', 'pending']);
    await turns();
    expect(engine.tasks).toHaveLength(1);
    const first = await engine.task(0);
    first.modelDone();
    const second = await engine.task(1);
    expect(second.prompt).toBe('2');
    await first.finish();
    await client.until('generated', ids[0]);
    // its temporary file goes before it asks for the model again
    await turns(1000);
    expect(engine.tasks).toHaveLength(2);
    expect(now().slice(4)).toEqual(['pending', 'pending']);
    second.modelDone();
    const third = await engine.task(2);
    expect(third.kind).toBe('upscale');
    third.modelDone();
    expect((await engine.task(3)).prompt).toBe('3');
    await third.finish();
    await client.until('completed', ids[0]);
    await client.until('processing', ids[4]);
    expect(jobs.summary()).toMatchObject({ running: 4, waiting: 1, order: [ids[5]], limit: 1000, paused: false });
  });

  test('with two devices the model work of two jobs goes on at once, and four run all the same', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ devices: 2 });
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const ids: string[] = [];
    for (const prompt of ['1', '2', '3', '4', '5']) ids.push(await client.create(prompt));
    await turns();
    expect(ids.map((jobId) => jobs.get(jobId)?.status)).toEqual(['processing', 'processing', 'processing', 'processing', 'pending']);
    expect(engine.tasks.map(({ prompt }) => prompt)).toEqual(['1', '2']);
    (await engine.task(1)).modelDone();
    expect((await engine.task(2)).prompt).toBe('3');
    await turns();
    expect(engine.tasks).toHaveLength(3);
  });

  test('fallbacks are sent once with the image, and kept', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('a cat');
    await (await engine.task(0)).finish(['It was made again in float32.']);
    await (await engine.task(1)).finish(['cuda:0 was given up for the CPU.', 'It was made again in float32.']);
    await client.until('completed');
    const setbacks = client.statuses().map((message) => message.setbacks);
    const all = ['It was made again in float32.', 'cuda:0 was given up for the CPU.'];
    expect(setbacks).toEqual([undefined, undefined, all.slice(0, 1), all]);
    await jobs.close('park');
    const again = new TestClient(await room.open(new SteppedEngine()), 'a');
    again.connection.getStatus(jobId, undefined);
    expect(again.statuses().at(-1)?.setbacks).toEqual(all);
  });

  test('clients take turns, the own window comes first', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine(), { limits: { running: 1 }, isOwnWindow: (clientId) => clientId === 'window' });
    const [a, b, window] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'b'), new TestClient(jobs, 'window')];
    await a.create('running');
    const [a1, a2] = [await a.create('a1'), await a.create('a2')];
    const b1 = await b.create('b1');
    const w1 = await window.create('w1');
    expect(jobs.summary().order).toEqual([w1, b1, a1, a2]);
    a.connection.getStatus(a2, undefined);
    expect(a.statuses().at(-1)).toMatchObject({ status: 'pending', position: 4 });
  });

  test('pause, resume, move, clear', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine, { limits: { running: 1 } });
    const client = new TestClient(jobs, 'a');
    expect((await jobs.queue({ action: 'pause' })).paused).toBe(true);
    const [one, two, three] = [await client.create('1'), await client.create('2'), await client.create('3')];
    await turns();
    expect(engine.tasks).toHaveLength(0);
    expect((await jobs.queue({ action: 'move', job_id: three, before: one })).order).toEqual([three, one, two]);
    expect((await jobs.queue({ action: 'move', job_id: three, before: null })).order).toEqual([one, two, three]);
    await expect(jobs.queue({ action: 'move', job_id: 'no-such-job', before: null })).rejects.toThrow(expect.objectContaining({ code: 'unknown_job' }));
    await expect(jobs.queue({ action: 'move', job_id: one, before: one })).rejects.toThrow(expect.objectContaining({ code: 'unknown_job' }));
    await jobs.queue({ action: 'move', job_id: two, before: one });
    await jobs.close('park');
    const again = await room.open(engine, { limits: { running: 1 } });
    expect(again.summary()).toMatchObject({ paused: true, order: [two, one, three] });
    await again.queue({ action: 'resume' });
    expect((await engine.task(0)).prompt).toBe('2');
    const watcher = new TestClient(again, 'a');
    expect(await again.queue({ action: 'clear' })).toMatchObject({ waiting: 0, running: 1 });
    expect(watcher.story()).toEqual(['cancelled', 'cancelled']);
  });

  test('a full queue refuses by code and says when to come back; asking for what is there already is answered', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine(), { limits: { running: 1, waiting: 2 } });
    const client = new TestClient(jobs, 'a');
    await client.create('running');
    // sent at once, so that they share a commit
    const sent = await Promise.allSettled(['1', '2', '3', '1'].map((prompt) => client.create(prompt)));
    expect(sent.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(sent[2]).toMatchObject({ reason: { code: 'queue_full', data: { limit: 2, retryAfterMs: 10_000 } } });
    expect(jobs.summary().waiting).toBe(2);
  });

  test('times are claimed only for what was measured here', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine, { limits: { running: 1 } });
    const client = new TestClient(jobs, 'a');
    const first = await client.create('1');
    const before = await client.create('2');
    expect(client.statuses().find(({ job_id }) => job_id === before)).not.toHaveProperty('wait_ms');
    expect(jobs.summary().measured).toEqual([]);
    const generating = await engine.task(0);
    room.clock.advance(8000);
    generating.modelDone();
    room.clock.advance(500);
    await generating.finish();
    const upscaling = await engine.task(1);
    room.clock.advance(2000);
    upscaling.modelDone();
    room.clock.advance(1000);
    await upscaling.finish();
    await client.until('completed', first);
    await engine.task(2);
    room.clock.advance(3000);
    const third = await client.create('3');
    const other = await client.create('4', undefined, { steps: 20 });
    const last = (jobId: string) => client.statuses().findLast((message) => message.job_id === jobId);
    expect(last(third)).toMatchObject({ position: 1, wait_ms: 7000, eta_ms: 18_000 });
    expect(last(other)).toMatchObject({ position: 2 });
    expect(last(other)).not.toHaveProperty('eta_ms');
    client.connection.getStatus(before, undefined);
    expect(last(before)).toMatchObject({ status: 'processing', eta_ms: 8000 });
    expect(jobs.summary().measured).toEqual([
      { checkpoint: 'storybook-uint4', width: 256, height: 256, steps: 9, generate_ms: 8000, upscale_ms: 2000, pictures: 1 },
    ]);
  });

  test('no new run without room on the disk', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ runsAlone: true });
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    await client.create('x');
    await client.until('completed');
    await jobs.close('park');
    const poor = await room.open(engine, { limits: { reserveBytes: Number.MAX_SAFE_INTEGER } });
    const again = new TestClient(poor, 'a');
    await expect(again.create('y')).rejects.toMatchObject({ code: 'disk_full' });
    await again.create('x');
    expect(again.statuses()).toEqual([expect.objectContaining({ status: 'completed', cached: true })]);
  });
});

describe('who hears what', () => {
  test('connections of one client id all hear, with the same seq; interest outlives them', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [one, two] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'a')];
    await one.create('x', 'r1');
    one.connection.close();
    two.connection.close();
    const task = await engine.task(0);
    task.step(1);
    const back = new TestClient(jobs, 'a');
    task.step(2);
    await task.finish();
    await back.until('generated');
    expect(two.story()).toEqual(['pending r1', 'processing r1']);
    expect(two.received).toEqual(one.received);
    expect(back.received.map((message) => (message.type === 'job_progress' ? message.progress.current_step : message.type))).toEqual([2, 'job_status']);
  });

  test('the numbers of a client grow on after twenty thousand others', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine());
    const early = new TestClient(jobs, 'early');
    await early.create('x');
    const [first = 0] = early.statuses().map(({ seq }) => seq);
    for (let other = 0; other < 20_000; other++) {
      const connection = jobs.connect({ clientId: `other ${other}`, from: 'this_machine' }, () => {});
      connection.watch({});
      connection.close();
    }
    await early.create('y');
    expect(first).toBeGreaterThan(0);
    expect(early.statuses().at(-1)?.seq).toBeGreaterThan(first);
    early.connection.watch({ since: first });
    expect(early.story().filter((status) => status === 'pending')).toHaveLength(3);
  });

  test('since sends again word for word what was missed, and of progress the latest', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [sleeper, witness] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'a')];
    await sleeper.create('x', 'r1');
    const last = sleeper.statuses().at(-1)?.seq ?? 0;
    sleeper.connection.close();
    const task = await engine.task(0);
    task.step(1);
    await task.finish();
    await witness.until('generated');
    await (await engine.task(1)).finish();
    await witness.until('completed');
    await witness.create('y', 'r2');
    (await engine.task(2)).step(1);
    (await engine.task(2)).step(2);
    const back = new TestClient(jobs, 'a');
    back.connection.watch({ since: last, requestId: 'w' });
    const missed = witness.received.filter((message) => 'seq' in message && (message.seq ?? 0) > last);
    const latest = missed.filter((message) => message.type === 'job_status' || message === witness.received.at(-1));
    const withoutTimes = (message: object) => ({ ...message, position: undefined, wait_ms: undefined, eta_ms: undefined });
    expect(back.received.slice(0, -1).map(withoutTimes)).toEqual(latest.map(withoutTimes));
    expect(back.received.at(-1)).toEqual({ type: 'watching', seq: witness.progress().at(-1)?.seq, request_id: 'w' });
    expect(back.story()).toEqual(['generated r1', 'completed r1', 'pending r2', 'processing r2']);
    const seqs = witness.received.flatMap((message) => ('seq' in message && message.seq !== undefined ? [message.seq] : []));
    expect(seqs).toEqual([...seqs].sort((x, y) => x - y));
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  test('numbers go on growing after a restart, and a number from nowhere brings everything kept', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const before = new TestClient(jobs, 'a');
    await before.create('x', 'r1');
    await before.until('completed');
    const last = before.received.at(-1);
    await jobs.close('park');
    const again = await room.open(new SteppedEngine({ runsAlone: true }));
    const after = new TestClient(again, 'a');
    after.connection.watch({ since: 10 ** 9 });
    expect(after.story()).toEqual(before.story());
    await after.create('y', 'r2');
    await after.until('completed');
    const seqs = after
      .statuses()
      .slice(-4)
      .map(({ seq }) => seq ?? 0);
    expect(last).toMatchObject({ type: 'job_status' });
    expect(seqs[0]).toBeGreaterThan(last?.type === 'job_status' ? (last.seq ?? 0) : Number.POSITIVE_INFINITY);
  });

  test('only the newest statuses of a client are kept', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine, { limits: { running: 1, replayedStatuses: 40 } });
    const client = new TestClient(jobs, 'a');
    await client.create('running');
    for (let round = 0; round < 60; round++) {
      const jobId = await client.create('again and again', `r${round}`);
      await client.connection.cancel(jobId, undefined);
    }
    const back = new TestClient(jobs, 'a');
    back.connection.watch({ since: 0 });
    const kept = back.story();
    expect(kept.length).toBeGreaterThanOrEqual(40);
    expect(kept.length).toBeLessThan(122);
    expect(kept).toEqual(client.story().slice(-kept.length));
  });

  test('a watcher of all hears of others without their request_id, and nothing more of what it cancelled', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [a, watcher] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'w')];
    watcher.connection.watch({ all: true });
    const jobId = await a.create('x', 'r1');
    const task = await engine.task(0);
    task.step(1);
    expect(watcher.story()).toEqual(['pending', 'processing']);
    expect(watcher.progress()).toHaveLength(1);
    await watcher.create('x', 'rw');
    await watcher.connection.cancel(jobId, undefined);
    task.step(2);
    await task.finish();
    await a.until('generated');
    expect(watcher.story()).toEqual(['pending', 'processing', 'processing rw', 'cancelled rw']);
    expect(watcher.progress()).toHaveLength(1);
  });

  test('a listener that throws affects neither the others nor the job', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    let isBroken = false;
    const broken = jobs.connect({ clientId: null }, () => {
      if (isBroken) throw new Error('the listener throws');
    });
    broken.watch({ all: true });
    isBroken = true;
    const client = new TestClient(jobs, 'a');
    await client.create('x', 'r1');
    await client.until('completed');
    expect(client.story()).toEqual(['pending r1', 'processing r1', 'generated r1', 'completed r1']);
    expect(new Set(room.errors)).toEqual(new Set(['a change was committed, but not every listener could be notified']));
  });

  test('previews go to those who asked for them', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const [a, b] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'b')];
    const jobId = await a.create('x');
    await b.create('x');
    b.connection.watch({ previews: true });
    const task = await engine.task(0);
    const rgb = Uint8Array.from([255, 0, 0, 0, 255, 0]);
    task.hooks.onPreview?.({ step: 3, width: 2, height: 1, rgb });
    while (b.received.at(-1)?.type !== 'job_preview') await new Promise(setImmediate);
    expect(b.received.at(-1)).toMatchObject({
      type: 'job_preview',
      job_id: jobId,
      step: 3,
      width: 2,
      height: 1,
      media_type: 'image/png',
      seq: expect.any(Number),
    });
    expect(a.received.map(({ type }) => type)).not.toContain('job_preview');
  });

  test('get_status answers with its own request_id, else with that of the create_job', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine());
    const [a, stranger] = [new TestClient(jobs, 'a'), new TestClient(jobs, null)];
    const jobId = await a.create('x', 'r1');
    a.connection.getStatus(jobId, 'g');
    a.connection.getStatus(jobId, undefined);
    stranger.connection.getStatus(jobId, undefined);
    expect(a.story().slice(-2)).toEqual(['processing g', 'processing r1']);
    expect(stranger.story()).toEqual(['processing']);
  });

  test('get_client_jobs: newest first, across restarts, not without a client id', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    const one = await client.create('one');
    await client.until('completed', one);
    room.clock.advance(1500);
    const two = await client.create('two');
    await client.until('completed', two);
    await jobs.close('park');
    const back = new TestClient(await room.open(new SteppedEngine()), 'a');
    back.connection.clientJobs({ requestId: 'l' });
    const name = `20260204-two-${two.slice(0, 8)}`;
    expect(back.received).toEqual([
      {
        type: 'client_jobs',
        request_id: 'l',
        jobs: [
          {
            job_id: two,
            task_type: 'text_to_image',
            status: 'completed',
            created_at: room.clock.ms / 1000,
            result: { filename: `${name}.png`, path: `outputs/${name}.png`, upscaled_filename: `${name}-upscaled.png` },
          },
          expect.objectContaining({ job_id: one, created_at: room.clock.ms / 1000 - 1.5 }),
        ],
      },
    ]);
  });

  test('get_client_jobs without a client id is refused', async () => {
    const room = createTestRoom();
    const client = new TestClient(await room.open(new SteppedEngine()), null);
    expect(() => client.connection.clientJobs({})).toThrow(expect.objectContaining({ code: 'client_id_required' }));
  });
});

describe('gallery', () => {
  test('pages, words, filters, stars', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const [a, b] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'b')];
    const ids: string[] = [];
    for (const prompt of ['A red Fox', 'a blue fox', '红色的狐狸', 'ÉCOLE 100%_']) ids.push(await a.create(prompt));
    ids.push(await b.create('b only', undefined, { model_type: 'int8', seed: 77 }));
    await b.until('completed');
    await a.until('completed', ids[3]);
    const found = (query: Parameters<typeof jobs.list>[0]) => jobs.list(query).jobs.map(({ job_id }) => ids.indexOf(job_id));
    const first = jobs.list({ limit: 2 });
    expect(first.jobs.map(({ job_id }) => ids.indexOf(job_id))).toEqual([4, 3]);
    expect(found({ limit: 10, before: first.next ?? 0 })).toEqual([2, 1, 0]);
    expect(jobs.list({ limit: 5 }).next).toBeNull();
    expect(found({ limit: 10, query: 'fox  RED' })).toEqual([0]);
    expect(found({ limit: 10, query: '狐狸' })).toEqual([2]);
    expect(found({ limit: 10, query: 'école 100%_' })).toEqual([3]);
    expect(found({ limit: 10, client: 'b' })).toEqual([4]);
    expect(found({ limit: 10, model: 'int8' })).toEqual([4]);
    expect(found({ limit: 10, seed: 77 })).toEqual([4]);
    expect(found({ limit: 10, seed: 7 })).toEqual([]);
    expect(found({ limit: 10, phrases: 'RED FOX' })).toEqual([0]);
    expect(found({ limit: 10, phrases: 'a\nfox' })).toEqual([1, 0]);
    expect(found({ limit: 10, query: 'fox', without: 'red\n100%' })).toEqual([1]);
    const { width, height } = jobs.get(ids[0] ?? '')?.params ?? { width: 0, height: 0 };
    expect(found({ limit: 10, max_pixels: width * height })).toHaveLength(5);
    expect(found({ limit: 10, max_pixels: width * height - 1 })).toEqual([]);
    const oldest = jobs.list({ limit: 2, order: 'oldest' });
    expect(oldest.jobs.map(({ job_id }) => ids.indexOf(job_id))).toEqual([0, 1]);
    expect(found({ limit: 10, order: 'oldest', before: oldest.next ?? 0 })).toEqual([2, 3, 4]);
    b.connection.watch({ all: true });
    expect((await jobs.patch(ids[1] ?? '', { starred: true })).starred).toBe(true);
    expect(b.received.at(-1)).toEqual({ type: 'job_starred', job_id: ids[1], starred: true });
    expect(a.received.some(({ type }) => type === 'job_starred')).toBe(false);
    expect(found({ limit: 10, starred: true })).toEqual([1]);
    expect(found({ limit: 10, status: 'failed' })).toEqual([]);
    await expect(jobs.patch('no-such-job', { starred: true })).rejects.toThrow(expect.objectContaining({ code: 'unknown_job' }));
  });

  test('bin: subscribers are notified; not served, restored, requested again, emptied', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine({ runsAlone: true });
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('x', 'r1');
    await client.until('completed');
    const filename = client.statuses().at(-1)?.result?.filename ?? '';
    expect((await jobs.remove(jobId)).deleted).toBe(true);
    expect(client.statuses().at(-1)).toMatchObject({ status: 'completed', deleted: true, request_id: 'r1' });
    expect(await jobs.imageFile(filename)).toBeNull();
    expect(await jobs.binnedImageFile(filename)).toBe(join(room.outputsDir, '.bin', filename));
    expect(jobs.get(jobId)?.deleted_at).toBeGreaterThan(0);
    expect(jobs.list({ limit: 10 }).jobs).toEqual([]);
    expect(jobs.list({ limit: 10, deleted: true }).jobs).toHaveLength(1);
    expect((await jobs.restore(jobId)).deleted).toBe(false);
    expect(await jobs.imageFile(filename)).not.toBeNull();
    expect(await jobs.binnedImageFile(filename)).toBeNull();
    await expect(jobs.removePermanently(jobId)).rejects.toThrow(expect.objectContaining({ code: 'unknown_job' }));
    await jobs.remove(jobId);
    await client.create('x', 'r2');
    expect(client.statuses().at(-1)).toMatchObject({ status: 'completed', cached: true });
    expect(jobs.get(jobId)?.deleted).toBe(false);
    await jobs.remove(jobId);
    await jobs.removePermanently(jobId);
    expect(jobs.get(jobId)).toBeNull();
    await expect(jobs.removePermanently(jobId)).rejects.toThrow(expect.objectContaining({ code: 'unknown_job' }));
    await client.create('x', 'r3');
    await client.until('completed');
    await jobs.remove(jobId);
    expect(await jobs.emptyBin()).toEqual({ removed: 1, failed: [] });
    expect(jobs.get(jobId)).toBeNull();
    expect(readdirSync(join(room.outputsDir, '.bin'))).toEqual([]);
    expect(engine.tasks).toHaveLength(4);
  });

  test('restored from the bin by the request of another client: watchers and subscribers are notified', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const [watcher, first, second] = [new TestClient(jobs, 'window'), new TestClient(jobs, 'first'), new TestClient(jobs, 'second')];
    watcher.connection.watch({ all: true });
    const completed = await first.create('x');
    await first.until('completed');
    await jobs.queue({ action: 'pause' });
    const cancelled = await first.create('y');
    await first.connection.cancel(cancelled, undefined);
    await Promise.all([jobs.remove(completed), jobs.remove(cancelled)]);
    await second.create('x');
    await second.create('y');
    const told = (client: TestClient, jobId: string) =>
      client.statuses().flatMap(({ job_id, deleted }) => (job_id === jobId && deleted !== undefined ? [deleted] : []));
    for (const jobId of [completed, cancelled]) expect(told(watcher, jobId)).toEqual([true, false]);
    expect([told(first, completed), jobs.get(completed)?.deleted, jobs.get(cancelled)?.deleted]).toEqual([[true, false], false, false]);
  });

  test('deleting at once, twice and beside a request: one answer each, and no job is lost', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    const ids: string[] = [];
    for (const prompt of ['1', '2', '3']) {
      ids.push(await client.create(prompt));
      await client.until('completed', ids.at(-1));
    }
    const [one = '', two = ''] = ids;
    expect((await Promise.all([...ids, ...ids].map((jobId) => jobs.remove(jobId)))).every(({ deleted }) => deleted)).toBe(true);
    await Promise.all([jobs.restore(one), jobs.remove(one), jobs.restore(one)]);
    expect(jobs.get(one)?.deleted).toBe(false);
    const emptied = await Promise.all([jobs.emptyBin(), jobs.emptyBin(), jobs.removePermanently(two).catch((reason: AppError) => reason.code)]);
    expect(emptied.slice(0, 2)).toEqual([expect.objectContaining({ failed: [] }), expect.objectContaining({ failed: [] })]);
    expect(jobs.list({ limit: 10 }).jobs.map(({ job_id }) => job_id)).toEqual([one]);
    const removing = jobs.remove(one);
    await client.create('1');
    await removing;
    expect([jobs.get(one)?.deleted, await jobs.imageFile(jobs.get(one)?.result?.filename ?? '')]).toEqual([false, expect.any(String)]);
  });

  test('one file that cannot be deleted leaves the rest deleted, with an answer for it', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    const ids: string[] = [];
    for (const prompt of ['1', '2', '3']) {
      ids.push(await client.create(prompt));
      await client.until('completed', ids.at(-1));
      await jobs.remove(ids.at(-1) ?? '');
    }
    const [, stuck = ''] = ids;
    const path = join(room.outputsDir, '.bin', jobs.get(stuck)?.result?.filename ?? '');
    rmSync(path);
    mkdirSync(path);
    expect(await jobs.emptyBin()).toMatchObject({ removed: 2, failed: [{ jobId: stuck, reason: { code: 'folder_not_writable' } }] });
    expect(jobs.list({ limit: 10, deleted: true }).jobs.map(({ job_id }) => job_id)).toEqual([stuck]);
    rmSync(path, { recursive: true });
    expect(await jobs.emptyBin()).toEqual({ removed: 1, failed: [] });
  });

  test('get_client_jobs is bounded and goes on behind the last one', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine(), { limits: { running: 0, waiting: 2000 } });
    const client = new TestClient(jobs, 'a');
    const ids = await Promise.all(Array.from({ length: 1003 }, (_, seed) => client.create('x', undefined, { seed }).then(() => undefined)));
    const page = (before?: string, limit?: number) => {
      client.connection.clientJobs({ before, limit });
      const answer = client.received.at(-1);
      return answer?.type === 'client_jobs' ? { ids: answer.jobs.map(({ job_id }) => job_id), more: answer.more } : { ids: [], more: undefined };
    };
    const first = page();
    const rest = page(first.ids.at(-1));
    expect([first.ids.length, first.more, rest.ids.length, rest.more]).toEqual([1000, true, 3, undefined]);
    expect(new Set([...first.ids, ...rest.ids]).size).toBe(ids.length);
    expect(page(undefined, 2)).toEqual({ ids: first.ids.slice(0, 2), more: true });
  });

  test('a running job cannot be deleted', async () => {
    const room = createTestRoom();
    const jobs = await room.open(new SteppedEngine());
    const jobId = await new TestClient(jobs, 'a').create('x');
    await expect(jobs.remove(jobId)).rejects.toThrow(expect.objectContaining({ code: 'job_not_ended', data: { status: 'processing' } }));
  });

  test('only published images inside the folder are served', async () => {
    const room = createTestRoom();
    const engine = new SteppedEngine();
    const jobs = await room.open(engine);
    const client = new TestClient(jobs, 'a');
    const jobId = await client.create('x');
    const filename = `20260204-x-${jobId.slice(0, 8)}.png`;
    writeFileSync(join(room.outputsDir, '20260204-foreign-00000000.png'), 'foreign');
    for (const name of [filename, '20260204-foreign-00000000.png', '../data/jobs.db', 'x\0.png', '']) expect(await jobs.imageFile(name)).toBeNull();
    await (await engine.task(0)).finish();
    await client.until('generated');
    expect(await jobs.imageFile(filename)).toBe(join(room.outputsDir, filename));
    rmSync(join(room.outputsDir, filename));
    symlinkSync(join(room.dataDir, 'jobs.db'), join(room.outputsDir, filename));
    expect(await jobs.imageFile(filename)).toBeNull();
  });
});
