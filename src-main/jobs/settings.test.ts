import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../tests/support/jobs-room.ts';
import { openDatabase } from './store/database.ts';
import { createStore } from './store/store.ts';

const runsAlone = () => new SteppedEngine({ runsAlone: true });

test('a change is on the disk for its owner alone, holds after a restart, and watchers of all jobs receive its name', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone());
  const [watching, other] = [new TestClient(jobs, 'w'), new TestClient(jobs, 'o')];
  watching.connection.watch({ all: true });
  await Promise.all([jobs.changeSettings({ disk_limit_gb: 5, window_jobs_first: true }), jobs.changeSettings({ empty_bin_after_days: 30 })]);
  expect(watching.received.filter(({ type }) => type === 'settings_changed')).toEqual([
    { type: 'settings_changed', names: ['disk_limit_gb'] },
    { type: 'settings_changed', names: ['empty_bin_after_days'] },
  ]);
  expect(other.received).toEqual([]);
  expect(statSync(join(room.dataDir, 'settings.json')).mode & 0o777).toBe(0o600);
  await jobs.close('park');
  const again = await room.open(runsAlone());
  expect(again.settings()).toMatchObject({ disk_limit_gb: 5, empty_bin_after_days: 30, window_jobs_first: true, outputs_folder: room.outputsDir });
});

test('the engine receives the time to keep its model at the start and at each change', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  expect(engine.idleMs).toBe(30 * 60_000);
  await jobs.changeSettings({ unload_model_after_minutes: 5 });
  expect(engine.idleMs).toBe(5 * 60_000);
  await jobs.changeSettings({ unload_model_after_minutes: null });
  expect(engine.idleMs).toBeNull();
});

test('the device holds from the next start on; the answer shows one from the command line instead', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone());
  expect(await jobs.changeSettings({ device: 'cuda:1' })).toMatchObject({ device: 'cuda:1', takes_effect: { device: 'next_start' } });
  await jobs.close('park');
  const fixed = await room.open(runsAlone(), { fixedSettings: ['device'], fixedDevice: 'cpu' });
  expect(fixed.settings()).toMatchObject({ device: 'cpu', fixed: ['device'] });
  await expect(fixed.changeSettings({ device: 'auto' })).rejects.toThrow(/device is fixed by the command line/);
});

test('images go to another folder from then on; earlier ones are found, binned and brought back where they are', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone());
  const client = new TestClient(jobs, 'a');
  const make = async (prompt: string) => {
    const jobId = await client.create(prompt);
    await client.until('completed', jobId);
    return { jobId, name: client.statuses().at(-1)?.result?.filename ?? '' };
  };
  const early = await make('early');
  const elsewhere = join(room.dataDir, 'pictures', 'new');
  await jobs.changeSettings({ outputs_folder: `${elsewhere}/` });
  expect(jobs.settings().outputs_folder).toBe(elsewhere);
  const late = await make('late');
  expect(await Promise.all([early, late].map(({ name }) => jobs.imageFile(name)))).toEqual([join(room.outputsDir, early.name), join(elsewhere, late.name)]);
  await jobs.remove(early.jobId);
  expect(await jobs.imageFile(early.name)).toBeNull();
  await jobs.restore(early.jobId);
  await jobs.close('park');

  const again = await room.open(runsAlone());
  expect(await again.imageFile(early.name)).toBe(join(room.outputsDir, early.name));
  const back = new TestClient(again, 'a');
  await back.create('early');
  expect(back.statuses().at(-1)).toMatchObject({ status: 'completed', cached: true });
  await again.remove(early.jobId);
  await again.remove(late.jobId);
  expect(await again.emptyBin()).toEqual({ removed: 2, failed: [] });
  expect([existsSync(join(room.outputsDir, '.bin', early.name)), existsSync(join(elsewhere, '.bin', late.name))]).toEqual([false, false]);
});

test('a job under way keeps both of its images in the folder in which the first one came out', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  await client.create('x');
  await (await engine.task(0)).finish();
  const enlarging = await engine.task(1);
  await jobs.changeSettings({ outputs_folder: join(room.dataDir, 'elsewhere') });
  await enlarging.finish();
  await client.until('completed');
  const { filename = '', upscaled_filename = '' } = client.statuses().at(-1)?.result ?? {};
  expect(await Promise.all([filename, upscaled_filename].map((name) => jobs.imageFile(name)))).toEqual(
    [filename, upscaled_filename].map((name) => join(room.outputsDir, name)),
  );
});

test('a folder that is no absolute path, or that cannot be written, changes nothing', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone());
  const before = jobs.settings();
  await expect(jobs.changeSettings({ outputs_folder: 'pictures', disk_limit_gb: 1 })).rejects.toMatchObject({
    code: 'bad_param',
    data: { field: 'outputs_folder' },
  });
  writeFileSync(join(room.dataDir, 'file'), '');
  await expect(jobs.changeSettings({ outputs_folder: join(room.dataDir, 'file', 'x'), disk_limit_gb: 1 })).rejects.toMatchObject({
    code: 'bad_param',
    data: { field: 'outputs_folder' },
    message: expect.stringContaining('EEXIST'),
  });
  expect(jobs.settings()).toEqual(before);
  expect(existsSync(join(room.dataDir, 'settings.json'))).toBe(false);
});

test('what the command line decided cannot be changed', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone(), { fixedSettings: ['outputs_folder'] });
  expect(jobs.settings().fixed).toEqual(['outputs_folder']);
  await expect(jobs.changeSettings({ outputs_folder: room.dataDir })).rejects.toMatchObject({ code: 'bad_param', data: { field: 'outputs_folder' } });
});

test('settings that cannot be read are the default ones, and the program starts', async () => {
  const room = createTestRoom();
  mkdirSync(room.dataDir, { recursive: true });
  writeFileSync(join(room.dataDir, 'settings.json'), '{"disk_limit_gb": "much"');
  const jobs = await room.open(runsAlone());
  expect(jobs.settings()).toMatchObject({ disk_limit_gb: null });
});

test('without its folder for images the program starts, and refuses jobs with that reason until the folder is back', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone());
  const disk = join(room.dataDir, 'disk');
  await jobs.changeSettings({ outputs_folder: join(disk, 'pictures') });
  await jobs.close('park');
  rmSync(disk, { recursive: true });
  writeFileSync(disk, 'not mounted');
  const again = await room.open(runsAlone());
  expect(room.errors).toHaveLength(1);
  const client = new TestClient(again, 'a');
  await expect(client.create('x')).rejects.toMatchObject({ code: 'folder_not_writable', data: { folder: join(disk, 'pictures') } });
  rmSync(disk);
  mkdirSync(join(disk, 'pictures'), { recursive: true });
  room.clock.advance(1000);
  await client.create('x');
  await client.until('completed');
});

test("the window's jobs wait their turn like others when so chosen", async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine(), { limits: { running: 0 }, isOwnWindow: (clientId) => clientId === 'window' });
  const [script, window] = [new TestClient(jobs, 'script'), new TestClient(jobs, 'window')];
  const first = await script.create('1');
  const second = await window.create('2');
  expect(jobs.summary().order).toEqual([second, first]);
  await jobs.changeSettings({ window_jobs_first: false });
  expect(jobs.summary().order).toEqual([first, second]);
});

test('clients are remembered over restarts with their jobs; of those that never asked for any, only the newest', async () => {
  const room = createTestRoom();
  const jobs = await room.open(runsAlone());
  const startS = room.clock.ms / 1000;
  const client = new TestClient(jobs, 'a');
  await client.create('x');
  jobs.connect({ clientId: 'idle', from: 'network' }, () => {}).close();
  jobs.connect({ clientId: null }, () => {});
  room.clock.advance(60_000);
  expect(jobs.clients()).toEqual({
    clients: [
      { client_id: 'a', first_seen: startS, last_seen: startS + 60, jobs: 1, connections: 1, from: 'this_machine' },
      { client_id: 'idle', first_seen: startS, last_seen: startS, jobs: 0, connections: 0, from: 'network' },
    ],
    anonymous_connections: 1,
  });
  await jobs.close('park');
  room.clock.advance(91 * 24 * 3600 * 1000);
  const store = createStore((await openDatabase(join(room.dataDir, 'jobs.db'), 0)).database);
  store.clients.forgetIdle(0);
  store.close();
  const again = await room.open(runsAlone());
  expect(again.clients().clients).toMatchObject([{ client_id: 'a', first_seen: startS, connections: 0, jobs: 1 }]);
});

test('the history is filtered by day, size and client, and lists all sizes', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine());
  const [a, b] = [new TestClient(jobs, 'a'), new TestClient(jobs, 'b')];
  const early = await a.create('early');
  room.clock.advance(3_600_000);
  const wide = await b.create('wide', undefined, { width: 512 });
  const high = await b.create('high', undefined, { height: 512 });
  const ids = (query: object) => jobs.list({ limit: 10, ...query }).jobs.map(({ job_id }) => job_id);
  const laterS = room.clock.ms / 1000;
  expect(ids({ from: laterS })).toEqual([high, wide]);
  expect(ids({ to: laterS })).toEqual([early]);
  expect(ids({ width: 512 })).toEqual([wide]);
  expect(ids({ height: 512, width: 256 })).toEqual([high]);
  expect(ids({ min_pixels: 256 * 512 })).toEqual([high, wide]);
  expect(ids({ client: 'a' })).toEqual([early]);
  expect(jobs.sizes().sizes).toHaveLength(3);
});
