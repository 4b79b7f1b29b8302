import { truncate } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { EngineHooks, GenerateTask, TaskReport, UpscaleTask } from '#main/engine/engine.ts';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, turns } from '../../../tests/support/jobs-room.ts';

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

test('over the limit the oldest go to the bin, told to who asked for them, and from there for good; starred ones stay', async () => {
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

test('where starred pictures take up the limit, a job is refused with what to do', async () => {
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
