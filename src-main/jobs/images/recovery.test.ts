import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import type { JobState } from '#shared/domain/job.ts';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, type TestRoom, turns } from '../../../tests/support/jobs-room.ts';
import { openDatabase } from '../store/database.ts';
import { createStore, type Store } from '../store/store.ts';

/** A room with one completed job of client `a`, closed again. */
async function roomWithPicture() {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(jobs, 'a');
  const jobId = await client.create('x', 'r1');
  await client.until('completed');
  const { filename = '', upscaled_filename: upscaled = '' } = client.statuses().at(-1)?.result ?? {};
  await jobs.close('park');
  return { room, jobId, filename, upscaled, original: join(room.outputsDir, filename), enlargement: join(room.outputsDir, upscaled) };
}

/** Takes the row back to what it said before the crash that a test plays. */
async function editStore(room: TestRoom, edit: (store: Store) => void): Promise<void> {
  const store = createStore((await openDatabase(join(room.dataDir, 'jobs.db'), 0)).database);
  edit(store);
  store.close();
}
const setState = (room: TestRoom, jobId: string, state: JobState) =>
  editStore(room, (store) => {
    store.jobs.setState(jobId, state, 0);
    store.subscriptions.set(jobId, { clientId: 'a', requestId: 'r1', standing: 'live' });
  });

test('a job that was processing stays so and begins again; waiting ones keep their order', async () => {
  const room = createTestRoom();
  const before = new SteppedEngine();
  const jobs = await room.open(before, { limits: { running: 1 } });
  const client = new TestClient(jobs, 'a');
  const ids = [await client.create('1', 'r1'), await client.create('2', 'r2'), await client.create('3', 'r3')];
  (await before.task(0)).step(1);
  await jobs.close('now');
  const after = new SteppedEngine();
  const again = await room.open(after, { limits: { running: 1 } });
  const back = new TestClient(again, 'a');
  expect(ids.map((jobId) => again.get(jobId)?.status)).toEqual(['processing', 'pending', 'pending']);
  expect(again.summary().order).toEqual(ids.slice(1));
  const task = await after.task(0);
  task.step(1);
  expect(back.progress().at(-1)?.progress).toMatchObject({ current_step: 1, percentage: 11 });
  await task.finish();
  await (await after.task(1)).finish();
  await back.until('completed', ids[0]);
  expect(back.story(ids[0])).toEqual(['generated r1', 'completed r1']);
});

test('a generated job goes on at upscaling, with its counters full', async () => {
  const room = createTestRoom();
  const before = new SteppedEngine();
  const jobs = await room.open(before);
  const client = new TestClient(jobs, 'a');
  await client.create('x', 'r1');
  await (await before.task(0)).finish();
  await before.task(1);
  await jobs.close('now');
  const after = new SteppedEngine();
  const back = new TestClient(await room.open(after), 'a');
  const task = await after.task(0);
  expect(task.kind).toBe('upscale');
  task.hooks.onProgress({ stage: 'upscaling', done: 1, total: 2 });
  expect(back.progress().at(-1)?.progress).toMatchObject({ stage: 'upscaling', current_step: 9, percentage: 100, stage_fraction: 0.5 });
  await task.finish();
  await back.until('completed');
});

test('parking lets an image past the model be written and stops the rest at the next step', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  const [one, two] = [await client.create('1'), await client.create('2')];
  const first = await engine.task(0);
  first.modelDone();
  const second = await engine.task(1);
  const closed = jobs.close('park');
  await expect(client.create('3')).rejects.toMatchObject({ code: 'shutting_down' });
  expect([first.signal.aborted, second.signal.aborted]).toEqual([false, true]);
  await first.finish();
  await closed;
  expect(() => client.connection.getStatus(one, undefined)).toThrow(expect.objectContaining({ code: 'shutting_down' }));
  expect(readdirSync(room.outputsDir).filter((name) => name.endsWith('.part'))).toEqual([]);
  const again = await room.open(new SteppedEngine());
  expect([again.get(one)?.status, again.get(two)?.status]).toEqual(['generated', 'processing']);
});

test('a second close does not wait for the first', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  await new TestClient(jobs, 'a').create('x');
  const task = await engine.task(0);
  task.modelDone();
  task.deaf = true;
  const parked = jobs.close('park');
  await jobs.close('now');
  await room.open(new SteppedEngine());
  await task.finish();
  await parked;
});

test('crash between rename and row: a whole image of this job is taken over, nothing is made twice', async () => {
  const { room, jobId, filename, enlargement } = await roomWithPicture();
  await setState(room, jobId, { status: 'processing' });
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const back = new TestClient(jobs, 'a');
  expect((await engine.task(0)).kind).toBe('upscale');
  expect(jobs.get(jobId)).toMatchObject({ status: 'generated', result: { filename } });
  await jobs.close('now');
  await setState(room, jobId, { status: 'generated', filename });
  expect(existsSync(enlargement)).toBe(true);
  const idle = new SteppedEngine();
  expect((await room.open(idle)).get(jobId)?.status).toBe('completed');
  await turns();
  expect(idle.tasks).toEqual([]);
  expect(back.received).toEqual([]);
});

test.each([
  ['torn', (path: string) => truncateSync(path, readFileSync(path).length - 3)],
  ['empty', (path: string) => truncateSync(path, 0)],
  ['of something else', (path: string) => writeFileSync(path, 'not a PNG')],
  ['absent', (path: string) => rmSync(path)],
])('a file under the final name that is %s is generated again', async (_, spoil) => {
  const { room, jobId, original } = await roomWithPicture();
  spoil(original);
  await setState(room, jobId, { status: 'processing' });
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  expect(jobs.get(jobId)?.status).toBe('processing');
  const task = await engine.task(0);
  expect(task.kind).toBe('generate');
  const back = new TestClient(jobs, 'a');
  await task.finish();
  await back.until('generated');
});

test("another job's image under the name is not taken over", async () => {
  const { room, jobId, original, enlargement } = await roomWithPicture();
  await setState(room, jobId, { status: 'processing' });
  const other = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(other, 'b');
  await client.until('completed', await client.create('another'));
  const foreign = client.statuses().at(-1)?.result?.filename ?? '';
  await other.close('park');
  await setState(room, jobId, { status: 'processing' });
  rmSync(enlargement);
  renameSync(join(room.outputsDir, foreign), original);
  const engine = new SteppedEngine();
  await room.open(engine);
  expect((await engine.task(0)).kind).toBe('generate');
});

test('unfinished files of this data folder are removed after a crash; files of another data folder with the same image folder are not', async () => {
  const { room } = await roomWithPicture();
  const engine = new SteppedEngine();
  const cutShort = await room.open(engine);
  await new TestClient(cutShort, 'a').create('y');
  const { outputPath } = (await engine.task(0)).task;
  await cutShort.close('now');
  const others = ['.hidden', 'notes.part', '.0123456789abcdef-original-0123456789abcdef.part'];
  for (const name of [basename(outputPath), ...others]) writeFileSync(join(room.outputsDir, name), 'x');
  await room.open(new SteppedEngine());
  expect(readdirSync(room.outputsDir)).toEqual(expect.arrayContaining(others));
  expect(readdirSync(room.outputsDir)).not.toContain(basename(outputPath));
});

test('a job fails if its original is lost before it is upscaled; the same request then generates it again', async () => {
  const { room, jobId, filename, original, enlargement } = await roomWithPicture();
  rmSync(original);
  rmSync(enlargement);
  await setState(room, jobId, { status: 'generated', filename });
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const back = new TestClient(jobs, 'a');
  await back.until('failed');
  expect(back.statuses().at(-1)).toMatchObject({ code: 'unknown_image' });
  await back.create('x', 'r2');
  await back.until('completed');
  expect(existsSync(original)).toBe(true);
});

test('a deletion or an undo cut short ends where the row says', async () => {
  const { room, jobId, filename, upscaled, original, enlargement } = await roomWithPicture();
  const bin = (name: string) => join(room.outputsDir, '.bin', name);
  // killed after the move to the bin, before the row
  renameSync(original, bin(filename));
  renameSync(enlargement, bin(upscaled));
  const restored = await room.open(new SteppedEngine());
  expect([existsSync(original), existsSync(enlargement), restored.get(jobId)?.deleted]).toEqual([true, true, false]);
  await restored.close('park');
  // killed after the files were moved back, before the row
  await editStore(room, (store) => store.jobs.moveToBin(jobId, 1, 0));
  const binned = await room.open(new SteppedEngine());
  expect([existsSync(bin(filename)), existsSync(bin(upscaled)), binned.get(jobId)?.deleted]).toEqual([true, true, true]);
});

test('a damaged database is moved aside and the images are indexed again', async () => {
  const { room, jobId, filename, enlargement } = await roomWithPicture();
  const second = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(second, 'a');
  const alone = await client.create('y');
  await client.until('completed');
  const removed = await client.create('z');
  await client.until('completed', removed);
  await second.remove(removed);
  await second.close('park');
  rmSync(join(room.outputsDir, `20260204-y-${alone.slice(0, 8)}-upscaled.png`));
  writeFileSync(join(room.outputsDir, '20260204-foreign-00000000.png'), 'not ours');
  writeFileSync(join(room.dataDir, 'jobs.db'), 'x'.repeat(10_000));
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  expect(readdirSync(room.dataDir)).toContain(`jobs.db.damaged-${room.clock.ms}`);
  expect(jobs.get(jobId)).toMatchObject({ status: 'completed', params: { prompt: 'x', width: 256 }, result: { filename }, checkpoint: 'storybook-uint4' });
  expect(jobs.get(alone)).toMatchObject({ status: 'failed', code: 'database_damaged' });
  expect(jobs.get(removed)).toMatchObject({ status: 'completed', deleted: false });
  expect(jobs.list({ limit: 10 }).jobs).toHaveLength(3);
  expect(existsSync(enlargement)).toBe(true);
  const back = new TestClient(jobs, 'a');
  await back.create('x', 'r9');
  expect(back.statuses()).toEqual([expect.objectContaining({ status: 'completed', cached: true, request_id: 'r9' })]);
  expect(engine.tasks).toEqual([]);
});

test('a second instance on the data folder is refused', async () => {
  const room = createTestRoom();
  await room.open(new SteppedEngine());
  await expect(room.open(new SteppedEngine())).rejects.toMatchObject({ code: 'data_folder_in_use' });
});

test('outputs that cannot be a folder are refused with a sentence, and the data folder is free again', async () => {
  const room = createTestRoom();
  mkdirSync(join(room.outputsDir, '..'), { recursive: true });
  writeFileSync(room.outputsDir, 'a file');
  await expect(room.open(new SteppedEngine())).rejects.toMatchObject({ code: 'folder_not_writable', data: { folder: room.outputsDir } });
  rmSync(room.outputsDir);
  await room.open(new SteppedEngine());
});

test('a checkpoint that is gone fails the job by code', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine());
  await jobs.queue({ action: 'pause' });
  const client = new TestClient(jobs, 'a');
  await client.create('x');
  room.registry.checkpoints = room.registry.checkpoints.map((checkpoint) => ({ ...checkpoint, fingerprint: 'another' }));
  await jobs.queue({ action: 'resume' });
  await client.until('failed');
  expect(client.statuses().at(-1)).toMatchObject({ code: 'model_not_installed' });
});

test.each(['missing', 'damaged'])(
  'a database that is %s is filled from the images; odd entries in the folder stop nothing, and so does a kill in the middle',
  async (how) => {
    const { room, jobId, filename } = await roomWithPicture();
    const database = join(room.dataDir, 'jobs.db');
    if (how === 'missing') for (const suffix of ['', '-wal', '-shm']) rmSync(database + suffix, { force: true });
    else writeFileSync(database, 'x'.repeat(10_000));
    mkdirSync(join(room.outputsDir, '20260101-a-folder-12345678.png'));
    mkdirSync(join(room.outputsDir, '.bin', '20260101-binned-folder-12345678.png'));
    writeFileSync(join(room.outputsDir, '20260101-cut-12345678.png'), readFileSync(join(room.outputsDir, filename)).subarray(0, 60));
    symlinkSync('/nowhere', join(room.outputsDir, '20260101-link-12345678.png'));
    if (process.platform !== 'win32') execFileSync('mkfifo', [join(room.outputsDir, '20260101-pipe-12345678.png')]);
    // the process ends after the database was made, before the images were read
    (await openDatabase(database, 0)).database.close();
    const jobs = await room.open(new SteppedEngine());
    expect(jobs.list({ limit: 10 }).jobs.map(({ job_id, status }) => [job_id, status])).toEqual([[jobId, 'completed']]);
  },
);

test('a folder of images whose disk is not mounted is not made again: jobs are refused until it is back', async () => {
  const { room, jobId, filename } = await roomWithPicture();
  const disk = `${room.outputsDir}.away`;
  renameSync(room.outputsDir, disk);
  for (const mountPoint of ['absent', 'empty']) {
    if (mountPoint === 'empty') mkdirSync(room.outputsDir);
    const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
    const client = new TestClient(jobs, 'a');
    await expect(client.create('y')).rejects.toMatchObject({ code: 'folder_not_writable' });
    expect(existsSync(room.outputsDir) ? readdirSync(room.outputsDir) : []).toEqual([]);
    await jobs.close('park');
  }
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(jobs, 'a');
  rmSync(room.outputsDir, { recursive: true });
  renameSync(disk, room.outputsDir);
  room.clock.advance(2000);
  await client.create('y');
  await client.until('completed');
  expect([jobs.get(jobId)?.status, await jobs.imageFile(filename)]).toEqual(['completed', join(room.outputsDir, filename)]);
});
