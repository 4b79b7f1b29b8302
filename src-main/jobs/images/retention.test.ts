import { truncate } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { EngineHooks, GenerateTask, TaskReport, UpscaleTask } from '#main/engine/engine.ts';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, HandClock, TestClient, turns } from '../../../tests/support/jobs-room.ts';

const DAY_MS = 24 * 3_600_000;

/** Makes files of 5 MB, so that a job takes 10 MB. */
class LargePictures extends SteppedEngine {
  constructor() {
    super({ runsAlone: true });
  }

  override async generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    const report = await super.generate(task, hooks, signal);
    await truncate(task.outputPath, 5e6);
    return report;
  }

  override async upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    const report = await super.upscale(task, hooks, signal);
    await truncate(task.outputPath, 5e6);
    return report;
  }
}

async function roomOfLargePictures() {
  const room = createTestRoom();
  const jobs = await room.open(new LargePictures());
  const client = new TestClient(jobs, 'a');
  const make = async (prompt: string): Promise<string> => {
    const jobId = await client.create(prompt);
    await client.until('completed', jobId);
    return jobId;
  };
  const ids = (deleted: boolean) => jobs.list({ limit: 10, deleted }).jobs.map(({ job_id }) => job_id);
  return { room, jobs, client, make, kept: () => ids(false), binned: () => ids(true) };
}

test('over the limit the oldest images go to the bin with a message to their subscribers, and are deleted from there; starred ones stay', async () => {
  const { jobs, client, make, kept, binned } = await roomOfLargePictures();
  const deleted: string[] = [];
  jobs.onImagesDeleted((filenames) => deleted.push(...filenames));
  const [starred, second, third, fourth] = [await make('1'), await make('2'), await make('3'), await make('4')];
  await jobs.patch(starred, { starred: true });
  const { filename = '', upscaled_filename = '' } = jobs.get(second)?.result ?? {};
  await jobs.changeSettings({ disk_limit_gb: 0.05 });
  await turns();
  expect([kept(), binned()]).toEqual([[fourth, third, second, starred], []]);
  const fifth = await make('5');
  await expect.poll(() => [kept(), binned()]).toEqual([[fifth, fourth, third, starred], [second]]);
  expect(client.statuses().filter((status) => status.deleted === true)).toMatchObject([{ job_id: second, status: 'completed' }]);
  expect(deleted).toEqual([]);
  const sixth = await make('6');
  await expect.poll(() => [kept(), binned()]).toEqual([[sixth, fifth, fourth, starred], [third]]);
  expect(deleted).toEqual([filename, upscaled_filename]);
  expect(jobs.get(second)).toBeNull();
});

test('where starred images take up the limit, a job is refused with what to do', async () => {
  const { jobs, client, make } = await roomOfLargePictures();
  await jobs.patch(await make('1'), { starred: true });
  await jobs.changeSettings({ disk_limit_gb: 0.011 });
  await expect(client.create('2')).rejects.toMatchObject({ code: 'disk_full', data: { freeBytes: 1e6 }, message: expect.stringContaining('disk_limit_gb') });
  await client.create('1');
  expect(client.statuses().at(-1)).toMatchObject({ status: 'completed', cached: true });
  await jobs.changeSettings({ disk_limit_gb: null });
  await make('2');
});

test('the bin is emptied of what lay there for the days that were chosen', async () => {
  const { room, jobs, make, binned } = await roomOfLargePictures();
  const dayMs = 24 * 3_600_000;
  const [old, young] = [await make('old'), await make('young')];
  await jobs.remove(old);
  room.clock.advance(dayMs);
  await jobs.remove(young);
  await jobs.changeSettings({ empty_bin_after_days: 2 });
  await turns();
  expect(binned()).toEqual([young, old]);
  room.clock.advance(dayMs + 1);
  await expect.poll(binned).toEqual([young]);
});

class WallClock extends HandClock {
  offsetMs = 0;
  override now = (): number => this.ms + this.offsetMs;
}

test.each([
  ['from 1970 to today', -56 * 365 * DAY_MS, 0],
  ['ten years ahead, once', 0, 3650 * DAY_MS],
  ['and back again', 3650 * DAY_MS, 0],
])('a wall clock that jumps %s empties no bin, over a restart or not; time that passes does', async (_, before, after) => {
  const room = createTestRoom();
  const clock = new WallClock();
  clock.offsetMs = before;
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }), { clock });
  const client = new TestClient(jobs, 'a');
  const jobId = await client.create('x');
  await client.until('completed');
  await jobs.changeSettings({ empty_bin_after_days: 7 });
  await jobs.remove(jobId);
  clock.offsetMs = after;
  clock.advance(3_600_000);
  await turns(50);
  expect(jobs.get(jobId)?.deleted).toBe(true);
  await jobs.close('park');
  clock.offsetMs = before;
  const second = await room.open(new SteppedEngine(), { clock });
  await second.close('park');
  clock.offsetMs = after;
  const third = await room.open(new SteppedEngine(), { clock });
  await turns(50);
  expect(third.get(jobId)?.deleted).toBe(true);
  for (let hour = 0; hour < 7 * 24; hour++) {
    clock.advance(3_600_000);
    await turns(2);
  }
  await expect.poll(() => third.get(jobId)).toBeNull();
});

test('an image that was made or brought back a moment ago is the newest: in the lists, by its date, and when the limit is reached', async () => {
  const { room, jobs, client, make, kept, binned } = await roomOfLargePictures();
  await jobs.queue({ action: 'pause' });
  const early = await client.create('early');
  await client.connection.cancel(early, undefined);
  await jobs.queue({ action: 'resume' });
  const first = await make('1');
  const others = [await make('2'), await make('3')];
  room.clock.advance(2 * DAY_MS);
  await jobs.changeSettings({ disk_limit_gb: 0.04 });
  await make('early');
  expect(jobs.get(early)).toMatchObject({ created_at: room.clock.ms / 1000, result: { filename: `20260206-early-${early.slice(0, 8)}.png` } });
  await expect.poll(() => [kept(), binned()]).toEqual([[early, ...others.toReversed()], [first]]);
  client.connection.clientJobs({ limit: 2 });
  expect(client.received.at(-1)).toMatchObject({ jobs: [{ job_id: early }, { job_id: others[1] }], more: true });
  // back from the bin: the newest again, and the next to go is another one
  await make('1');
  await jobs.changeSettings({ empty_bin_after_days: 3650 });
  await expect.poll(() => [kept(), binned()]).toEqual([[first, early, others[1]], [others[0]]]);
});
