import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { readPngTexts } from '#main/lib/png.ts';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, type TestRoom } from '../../tests/support/jobs-room.ts';

const ROUNDS = 6;
const entry = resolve(import.meta.dirname, '../../tests/fakes/jobs-process.ts');

/** Runs jobs in a process of their own and kills it, with SIGKILL, once it has told `lines` statuses. Returns all that it told. */
async function runAndKill(room: TestRoom, round: number, lines: number): Promise<[jobId: string, status: string][]> {
  const child: ChildProcess = spawn(process.execPath, [entry, room.dataDir, room.outputsDir, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise((exited) => child.once('exit', exited));
  const told: [string, string][] = [];
  if (child.stdout === null) throw new Error('the child has no output');
  for await (const line of createInterface(child.stdout)) {
    const [jobId = '', status = ''] = line.split(' ');
    told.push([jobId, status]);
    if (told.length === lines) child.kill('SIGKILL');
  }
  await gone;
  return told;
}

test('kill -9 at any moment: nothing told is lost, no half file has a final name, no end state changes', async () => {
  const room = createTestRoom();
  const told: [string, string][] = [];
  for (let round = 0; round < ROUNDS; round++) told.push(...(await runAndKill(room, round, 3 + 17 * round)));
  const engine = new SteppedEngine({ runsAlone: true });
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  const ids = [...new Set(told.map(([jobId]) => jobId))];
  expect(ids.length).toBeGreaterThan(ROUNDS);
  for (const [jobId, status] of told) if (status === 'completed') expect(jobs.get(jobId)?.status).toBe('completed');
  while (jobs.summary().waiting + jobs.summary().running > 0) await new Promise((next) => setTimeout(next, 20));
  expect(ids.map((jobId) => jobs.get(jobId)?.status)).toEqual(ids.map(() => 'completed'));
  client.connection.clientJobs(undefined);
  const listed = client.received.find((message) => message.type === 'client_jobs')?.jobs ?? [];
  expect(listed.map(({ job_id }) => job_id)).toEqual(expect.arrayContaining(ids));
  // every outcome was told at most once
  const ends = told.filter(([, status]) => status === 'completed' || status === 'generated').map((entry) => entry.join(' '));
  expect(new Set(ends).size).toBe(ends.length);
  const names = readdirSync(room.outputsDir).filter((name) => name !== '.bin');
  expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
  for (const name of names) expect(readPngTexts(readFileSync(join(room.outputsDir, name)))).toHaveLength(2);
  expect(names).toHaveLength(2 * listed.length);
});
