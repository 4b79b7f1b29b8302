import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../../tests/support/jobs-room.ts';

test('a permanently deleted job is gone from every file of the database and from what is sent again, and the file shrinks', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine({ runsAlone: true }));
  const client = new TestClient(jobs, 'a');
  const made = await client.create('Quetzalcoatlus');
  await client.until('completed', made);
  await jobs.queue({ action: 'pause' });
  for (let seed = 0; seed < 300; seed++) await client.create('Quetzalcoatlus '.repeat(200), undefined, { seed });
  await jobs.queue({ action: 'clear' });
  const fullBytes = statSync(join(room.dataDir, 'jobs.db-wal')).size;
  for (const { job_id } of jobs.list({ limit: 500 }).jobs) await jobs.remove(job_id);
  expect(await jobs.emptyBin()).toEqual({ removed: 301, failed: [] });
  const again = new TestClient(jobs, 'a');
  again.connection.watch({ since: 0 });
  expect(again.statuses()).toEqual([]);
  await jobs.close('park');
  const files = readdirSync(room.dataDir).map((name) => readFileSync(join(room.dataDir, name)));
  expect(files.filter((bytes) => bytes.includes('Quetzalcoatlus') || bytes.includes('quetzalcoatlus'))).toEqual([]);
  expect(statSync(join(room.dataDir, 'jobs.db')).size).toBeLessThan(Math.min(fullBytes, 300_000));
});
