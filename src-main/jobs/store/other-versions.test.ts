import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, turns } from '../../../tests/support/jobs-room.ts';
import { openSqlite } from './sqlite.ts';

/** A room with two completed jobs and a pending one, closed, and a way to edit its database as a later version would. */
async function closedRoom() {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(jobs, 'a');
  const made: string[] = [];
  for (const prompt of ['one', 'two']) {
    made.push(await client.create(prompt));
    await client.until('completed', made.at(-1));
  }
  await jobs.queue({ action: 'pause' });
  const pending = await client.create('it waits');
  await jobs.close('park');
  const edit = async (sql: string) => {
    const database = await openSqlite(join(room.dataDir, 'jobs.db'));
    database.exec(sql);
    database.close();
  };
  return { room, one: made[0] ?? '', two: made[1] ?? '', pending, edit };
}

test.each([
  ['an unknown model type', "params = json_set(params, '$.model_type', 'fp8')"],
  ['an additional parameter, which means another image', "params = json_set(params, '$.lora', 'x')"],
  ['another task', "task_type = 'inpaint'"],
])('a completed job with %s is listed with its image and the reason; the others as ever', async (_, change) => {
  const { room, one, two, edit } = await closedRoom();
  await edit(`UPDATE jobs SET ${change} WHERE job_id = '${one}'`);
  const jobs = await room.open(new SteppedEngine());
  const listed = jobs.list({ limit: 10, status: 'completed' }).jobs;
  expect(listed.map(({ job_id, status, code }) => [job_id, status, code])).toEqual([
    [two, 'completed', null],
    [one, 'completed', 'job_of_other_version'],
  ]);
  expect(await jobs.imageFile(jobs.get(one)?.result?.filename ?? '')).not.toBeNull();
  await expect(jobs.remove(one)).rejects.toMatchObject({ code: 'job_of_other_version' });
  const client = new TestClient(jobs, 'a');
  client.connection.clientJobs({});
  expect(client.received.at(-1)).toMatchObject({ jobs: [{}, {}, {}] });
});

test('an unknown state reads as failed, in every list', async () => {
  const { room, one, edit } = await closedRoom();
  await edit(`UPDATE jobs SET status = 'archived', state = '{"status":"archived"}' WHERE job_id = '${one}'`);
  const jobs = await room.open(new SteppedEngine());
  expect(jobs.get(one)).toMatchObject({ status: 'failed', code: 'job_of_other_version' });
  const client = new TestClient(jobs, 'a');
  client.connection.getStatus(one, 'g');
  expect(client.statuses().at(-1)).toMatchObject({ status: 'failed', code: 'job_of_other_version' });
});

test('a pending job of another version is kept and not run, and the program starts', async () => {
  const { room, pending, edit } = await closedRoom();
  await edit(`UPDATE jobs SET params = json_set(params, '$.model_type', 'fp8') WHERE job_id = '${pending}'`);
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  await jobs.queue({ action: 'resume' });
  await turns();
  expect([engine.tasks.length, jobs.get(pending)?.status]).toEqual([0, 'pending']);
  const client = new TestClient(jobs, 'a');
  await expect((async () => client.connection.cancel(pending, undefined))()).rejects.toMatchObject({ code: 'job_of_other_version' });
  await jobs.queue({ action: 'clear' });
  expect(jobs.get(pending)?.status).toBe('pending');
});

test('jobs in the bin that are not understood are kept; the others are deleted', async () => {
  const { room, one, two, edit } = await closedRoom();
  await edit(`UPDATE jobs SET params = json_set(params, '$.model_type', 'fp8') WHERE job_id = '${one}'`);
  await edit('UPDATE jobs SET deleted_at_ms = 1, binned_age_ms = 0 WHERE finished_at_ms IS NOT NULL');
  const jobs = await room.open(new SteppedEngine());
  expect(await jobs.emptyBin()).toMatchObject({ removed: 1, failed: [{ jobId: one, reason: { code: 'job_of_other_version' } }] });
  expect([jobs.get(one)?.deleted, jobs.get(two)]).toEqual([true, null]);
});

test('damaged events, subscriptions and timings are passed over', async () => {
  const { room, edit } = await closedRoom();
  await edit("UPDATE events SET message = 'x' WHERE seq = 1; UPDATE interests SET stand = 'muted', request_id = '{'; UPDATE clients SET seen_from = 'moon'");
  const jobs = await room.open(new SteppedEngine());
  const client = new TestClient(jobs, 'a');
  client.connection.watch({ since: 0 });
  expect(client.statuses().length).toBeGreaterThan(3);
  expect(jobs.clients().clients).toMatchObject([{ client_id: 'a' }]);
});
