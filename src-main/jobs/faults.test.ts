import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, HandClock, TestClient, turns } from '../../tests/support/jobs-room.ts';
import { openSqlite } from './store/sqlite.ts';

const YEAR_MS = 365 * 24 * 3600 * 1000;

/** Its wall clock can be set; what durations are measured with goes on as before. */
class WallClock extends HandClock {
  offsetMs = 0;
  override now = (): number => this.ms + this.offsetMs;
}

test('a clock that jumps ten years back and thirty forth: order, numbers, times and waits are as if it had not', async () => {
  const room = createTestRoom();
  const clock = new WallClock();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine, { clock });
  const client = new TestClient(jobs, 'a');
  const ids: string[] = [];
  for (const offsetMs of [0, -10 * YEAR_MS, 20 * YEAR_MS]) {
    clock.offsetMs = offsetMs;
    const jobId = await client.create(`at ${offsetMs}`);
    ids.push(jobId);
    const original = await engine.task(2 * ids.length - 2);
    clock.advance(4000);
    original.step(1);
    clock.offsetMs = -offsetMs;
    clock.advance(4000);
    original.step(2);
    // two steps in eight seconds, wherever the hands of the wall clock stand
    expect(client.progress().at(-1)?.progress).toMatchObject({ elapsed: '00:08', remaining: '00:28', speed: '4.00s/it' });
    await original.finish();
    await (await engine.task(2 * ids.length - 1)).finish();
    await client.until('completed', jobId);
  }
  const newestFirst = [...ids].reverse();
  expect(jobs.list({ limit: 10 }).jobs.map(({ job_id }) => job_id)).toEqual(newestFirst);
  client.connection.clientJobs({});
  const listed = client.received.find((message) => message.type === 'client_jobs')?.jobs;
  expect(listed?.map(({ job_id, status }) => [job_id, status])).toEqual(newestFirst.map((jobId) => [jobId, 'completed']));
  const numbers = client.statuses().map(({ seq }) => seq ?? 0);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));

  await jobs.close('now');
  clock.offsetMs = -40 * YEAR_MS;
  const again = await room.open(new SteppedEngine(), { clock });
  expect(again.list({ limit: 10 }).jobs.map(({ job_id, status }) => [job_id, status])).toEqual(newestFirst.map((jobId) => [jobId, 'completed']));
  const back = new TestClient(again, 'a');
  back.connection.watch({ since: numbers[2] });
  expect(back.statuses().map(({ seq }) => seq)).toEqual(numbers.slice(3));
});

test('a failure that the database does not take is written as soon as it does, and the queue goes on meanwhile', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  const failing = await client.create('one');
  const next = await client.create('two');
  const task = await engine.task(0);
  const other = await openSqlite(join(room.dataDir, 'jobs.db'));
  other.exec('BEGIN IMMEDIATE');
  task.fail(new Error('the model fell over'));
  await expect.poll(() => room.errors.some((text) => text.startsWith('a failure could not be written down'))).toBe(true);
  expect(jobs.get(failing)?.status).toBe('processing');
  expect((await engine.task(1)).prompt).toBe('two');
  other.exec('ROLLBACK');
  other.close();
  room.clock.advance(5000);
  expect(jobs.get(failing)).toMatchObject({ status: 'failed', code: 'internal' });
  expect(client.story(failing)).toEqual(['pending', 'processing', 'failed']);
  await (await engine.task(1)).finish();
  await (await engine.task(2)).finish();
  await client.until('completed', next);
});

test('a lock of a moment is waited for: create, star, cancel and delete are done when it is over, and nothing is refused', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  const running = await client.create('running');
  const waiting = await client.create('waiting');
  const other = await openSqlite(join(room.dataDir, 'jobs.db'));
  other.exec('BEGIN IMMEDIATE');
  const asked = [client.create('asked under the lock'), jobs.patch(running, { starred: true }), client.connection.cancel(waiting, undefined)];
  await expect.poll(() => room.clock.timers).toBeGreaterThanOrEqual(3);
  other.exec('ROLLBACK');
  other.close();
  room.clock.advance(250);
  await Promise.all(asked);
  expect([jobs.get(running)?.starred, jobs.get(waiting)?.status]).toEqual([true, 'cancelled']);
});

test('a database that stays locked refuses with its own code, and nothing has changed', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine());
  const jobId = await new TestClient(jobs, 'a').create('x');
  const other = await openSqlite(join(room.dataDir, 'jobs.db'));
  other.exec('BEGIN IMMEDIATE');
  const refused = expect(jobs.patch(jobId, { starred: true })).rejects.toMatchObject({ code: 'database_busy' });
  for (let attempt = 0; attempt < 20; attempt++) {
    room.clock.advance(250);
    await turns(2);
  }
  await refused;
  other.exec('ROLLBACK');
  other.close();
  expect(jobs.get(jobId)?.starred).toBe(false);
});

test('an image that is finished while the database is locked is not lost: the job goes on when the lock is gone', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  const jobId = await client.create('x');
  const task = await engine.task(0);
  const other = await openSqlite(join(room.dataDir, 'jobs.db'));
  other.exec('BEGIN IMMEDIATE');
  await task.finish();
  await expect.poll(() => room.errors.some((text) => text.startsWith('an image is finished, but'))).toBe(true);
  room.clock.advance(1000);
  await turns();
  expect(jobs.get(jobId)?.status).toBe('processing');
  other.exec('ROLLBACK');
  other.close();
  room.clock.advance(1000);
  await (await engine.task(1)).finish();
  await client.until('completed');
  expect(client.story()).toEqual(['pending', 'processing', 'generated', 'completed']);
});

test('jobs of one client reach the engine in the order in which they were asked for, however long each takes to prepare', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine({ devices: 4 });
  const first = await room.open(engine);
  await first.queue({ action: 'pause' });
  const client = new TestClient(first, 'a');
  for (const prompt of ['1', '2', '3', '4']) await client.create(prompt);
  const delays = [30, 20, 10, 0];
  const list = room.registry.list.bind(room.registry);
  room.registry.list = async () => {
    await new Promise((resolve) => setTimeout(resolve, delays.shift() ?? 0));
    return list();
  };
  await first.queue({ action: 'resume' });
  await engine.task(3);
  expect(engine.tasks.map(({ prompt }) => prompt)).toEqual(['1', '2', '3', '4']);
});
