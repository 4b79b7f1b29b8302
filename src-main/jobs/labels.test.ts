import { expect, test } from 'vitest';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../tests/support/jobs-room.ts';

const album = { kind: 'album', name: 'Red foxes' } as const;

test('jobs are in albums and have tags, across restarts, and the history is filtered by them', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(jobs, 'a');
  const [first, second] = [await client.create('first'), await client.create('second')];
  await Promise.all([jobs.setLabel(first, album, true), jobs.setLabel(first, album, true), jobs.setLabel(second, { kind: 'album', name: 'RED FOXES' }, true)]);
  await jobs.setLabel(second, { kind: 'tag', name: 'Red foxes' }, true);
  await jobs.close('park');

  const again = await room.open(new SteppedEngine({ runsAlone: true }));
  const ids = (query: object) => again.list({ limit: 10, ...query }).jobs.map(({ job_id }) => job_id);
  expect(again.labels().labels).toEqual([
    { ...album, jobs: 2 },
    { kind: 'tag', name: 'Red foxes', jobs: 1 },
  ]);
  expect(ids({ album: 'red foxes' })).toEqual([second, first]);
  expect(ids({ album: 'red foxes', tag: 'Red Foxes' })).toEqual([second]);
  expect(ids({ tag: 'Red' })).toEqual([]);

  await again.setLabel(second, album, false);
  await again.setLabel(second, album, false);
  expect(ids({ album: 'Red foxes' })).toEqual([first]);
  await expect(again.setLabel('0'.repeat(64), album, true)).rejects.toMatchObject({ code: 'unknown_job' });
});

test('an album keeps an image that goes through the bin, and ends with its last image', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(jobs, 'a');
  const id = await client.create('first');
  await client.until('completed', id);
  await jobs.setLabel(id, album, true);
  await jobs.remove(id);
  expect(jobs.labels().labels).toEqual([]);
  await jobs.restore(id);
  expect(jobs.labels().labels).toEqual([{ ...album, jobs: 1 }]);
  await jobs.remove(id);
  await jobs.removePermanently(id);
  expect(jobs.labels().labels).toEqual([]);
});
