import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { jobPageSchema } from '#shared/domain/job-record.ts';
import { FAKE_ENGINE_VARIABLE } from '../fakes/fake-fault.ts';
import { childrenOf } from '../support/children-of.ts';
import { HeadlessProcess } from '../support/headless-process.ts';
import { needsMount, SmallDisk } from '../support/small-disk.ts';
import { SocketClient } from '../support/socket-client.ts';
import { failSystemCall, needsStrace } from '../support/system-call-fault.ts';

/** Failures of disks, files and other processes under a running server: each ends in an error with its code, and the server keeps serving. */

const preload = resolve(import.meta.dirname, 'server-preload.ts');

class Place {
  readonly dataDir: string;
  readonly outputsDir: string;
  url = '';
  server: HeadlessProcess | null = null;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'disk-'));
    this.dataDir = join(folder, 'data');
    this.outputsDir = join(this.dataDir, 'outputs');
    onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
    onTestFinished(() => this.kill());
  }

  /** A client of the running server. */
  async start(stepMs = 2): Promise<SocketClient> {
    const behaviour = JSON.stringify({ stepMs, busyThreads: 0, faults: [] });
    this.server = new HeadlessProcess({ dataDir: this.dataDir, preload, env: { [FAKE_ENGINE_VARIABLE]: behaviour } });
    const url = await this.server.ready;
    if (url === null) throw new Error(`the server did not start: ${this.server.log}`);
    this.url = url;
    return SocketClient.open(url, 'a');
  }

  /** Exit status and last output of a server that cannot start. */
  async startInVain(): Promise<{ code: number | null; said: string }> {
    this.server = new HeadlessProcess({ dataDir: this.dataDir, preload });
    const { code } = await this.server.ended;
    return { code, said: this.server.log.trim() };
  }

  async kill(): Promise<void> {
    if (this.server?.isRunning !== true) return;
    this.server.kill('SIGKILL');
    await this.server.ended;
  }

  async ask(method: string, path: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const answer = await fetch(`${this.url}${path}`, { method });
    return { status: answer.status, body: answer.headers.get('content-type')?.includes('json') === true ? await answer.json() : {} };
  }

  async isHealthy(): Promise<boolean> {
    return (await this.ask('GET', '/api/health')).status === 200;
  }

  temporaryFiles(): string[] {
    return readdirSync(this.outputsDir).filter((name) => name.endsWith('.part'));
  }
}

/** Writes until the disk is full; removing the file frees the space. */
function fillDisk(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch {
    // expected: the disk is full
  } finally {
    closeSync(file);
  }
}

test('a disk with too little space: refused before anything starts, accepted when there is space', async (context) => {
  needsMount(context);
  const place = new Place();
  const disk = new SmallDisk(place.outputsDir, 'size=8m');
  const client = await place.start();
  expect(await client.make('no room')).toMatchObject({ type: 'error', code: 'disk_full' });
  expect(await place.isHealthy()).toBe(true);
  disk.change('size=1g');
  // a measurement of the free space is reused for a second
  await expect.poll(async () => (await client.make('no room')).type, { timeout: 10_000, interval: 300 }).toBe('job_status');
  expect(await client.make('no room')).toMatchObject({ status: 'completed' });
});

test('a disk that fills up between the two images: failed with the code, nothing half written, generated when there is space', async (context) => {
  needsMount(context);
  const place = new Place();
  // space for itself, the bin and one file
  const disk = new SmallDisk(place.outputsDir, 'size=1g,nr_inodes=3');
  const client = await place.start();
  expect(await client.make('one file')).toMatchObject({ status: 'failed', code: 'disk_full' });
  expect(client.received.filter((message) => message.type === 'job_status').map(({ status }) => status)).toContain('generated');
  expect(place.temporaryFiles()).toEqual([]);
  disk.change('nr_inodes=100');
  expect(await client.make('one file')).toMatchObject({ status: 'completed' });
});

test('a full disk under the database: refused with the code, lists are readable, accepted when there is space', async (context) => {
  needsMount(context);
  const place = new Place();
  new SmallDisk(place.dataDir, 'size=6m');
  new SmallDisk(place.outputsDir, 'size=1g');
  const client = await place.start();
  expect(await client.make('before')).toMatchObject({ status: 'completed' });
  const filler = join(place.dataDir, 'filler');
  fillDisk(filler);
  // SQLite first uses up the free space inside its files
  let answer = await client.make('full 0');
  for (let i = 1; answer.type !== 'error' && i < 200; i++) answer = await client.make(`full ${i}`);
  expect(answer).toMatchObject({ type: 'error', code: 'disk_full' });
  expect((await place.ask('GET', '/api/jobs')).status).toBe(200);
  rmSync(filler);
  expect(await client.make('after')).toMatchObject({ status: 'completed' });
});

test('outputs that become read-only: refused, and a running job failed, with the code; works again when they are writable', async (context) => {
  needsMount(context);
  const place = new Place();
  const disk = new SmallDisk(place.outputsDir, 'size=1g');
  const client = await place.start(50);
  const made = await client.make('made before');
  const running = await client.create('running');
  if (running.type === 'error' || made.type === 'error') throw new Error(`refused: ${JSON.stringify([running, made])}`);
  await expect
    .poll(() => client.received.some((message) => message.type === 'job_progress' && message.job_id === running.job_id && message.progress.current_step > 0))
    .toBe(true);
  disk.change('ro');
  const failed = await client.status(running.job_id, ['failed', 'completed']);
  expect(failed).toMatchObject({ status: 'failed', code: 'folder_not_writable' });
  expect(statSync(/was saved as (\S+\.png)\.$/.exec(failed.error ?? '')?.[1] ?? '').size).toBeGreaterThan(1000);
  await expect.poll(() => client.create('refused'), { timeout: 10_000, interval: 300 }).toMatchObject({ type: 'error', code: 'folder_not_writable' });
  expect((await place.ask('DELETE', `/api/jobs/${made.job_id}`)).body['code']).toBe('folder_not_writable');
  expect((await place.ask('GET', `/api/image/${made.result?.filename}`)).status).toBe(200);
  disk.change('rw');
  await expect.poll(() => client.make('running'), { timeout: 10_000, interval: 300 }).toMatchObject({ status: 'completed' });
  expect((await place.ask('DELETE', `/api/jobs/${made.job_id}`)).body['deleted']).toBe(true);
});

test('a data folder on a read-only disk is reported in one sentence', async (context) => {
  needsMount(context);
  const place = new Place();
  new SmallDisk(place.dataDir, 'size=1m,ro');
  const { code, said } = await place.startInVain();
  expect([code, said]).toEqual([1, expect.stringMatching(/^The data folder [^\n]*EROFS[^\n]*$/)]);
});

test('an image that cannot be synced (EIO): failed with the code, nothing half written, the next one works', async (context) => {
  needsStrace(context);
  const place = new Place();
  const client = await place.start();
  expect(await client.make('before')).toMatchObject({ status: 'completed' });
  const [engine] = childrenOf(place.server?.pid ?? 0);
  const heal = await failSystemCall(engine ?? 0, 'fsync', 'EIO');
  expect(await client.make('broken')).toMatchObject({ status: 'failed', code: 'disk_failed' });
  await heal();
  expect(place.temporaryFiles()).toEqual([]);
  expect(await client.make('broken')).toMatchObject({ status: 'completed' });
});

test('a database that cannot be written (EIO): refused with the code, nothing changed, the next request is accepted', async (context) => {
  needsStrace(context);
  const place = new Place();
  const client = await place.start();
  expect(await client.make('before')).toMatchObject({ status: 'completed' });
  const heal = await failSystemCall(place.server?.pid ?? 0, 'pwrite64', 'EIO');
  expect(await client.make('broken')).toMatchObject({ type: 'error', code: 'disk_failed' });
  expect(await place.isHealthy()).toBe(true);
  await heal();
  expect(await client.make('broken')).toMatchObject({ status: 'completed' });
  expect(jobPageSchema.parse((await place.ask('GET', '/api/jobs')).body).jobs).toHaveLength(2);
});

test('a deleted image: 404 with the code, generated again with the same id on request', async () => {
  const place = new Place();
  const client = await place.start();
  const made = await client.make('a cat');
  if (made.type === 'error') throw new Error(made.message);
  const filename = made.result?.filename ?? '';
  rmSync(join(place.outputsDir, filename));
  expect(await place.ask('GET', `/api/image/${filename}`)).toMatchObject({ status: 404, body: { code: 'unknown_image' } });
  expect(await place.ask('GET', `/api/image/${filename}?w=64`)).toMatchObject({ status: 404, body: { code: 'unknown_image' } });
  const again = await client.make('a cat');
  expect(again).toMatchObject({ status: 'completed', job_id: made.job_id });
  expect(again).not.toHaveProperty('cached');
  expect((await place.ask('GET', `/api/image/${filename}`)).status).toBe(200);
});

test('the original deleted while it is upscaled: failed with a code, no upscaled image remains', async () => {
  const place = new Place();
  const client = await place.start(100);
  const asked = await client.create('a cat');
  if (asked.type === 'error') throw new Error(asked.message);
  const { result } = await client.status(asked.job_id, ['generated']);
  rmSync(join(place.outputsDir, result?.filename ?? ''));
  const end = await client.status(asked.job_id, ['failed', 'completed']);
  // deleted before the engine read it, or after
  expect(['picture_damaged', 'unknown_image']).toContain(end.code);
  expect(readdirSync(place.outputsDir)).toEqual(['.bin']);
  expect(await client.make('a cat')).toMatchObject({ status: 'completed' });
});

test('the image folder is removed: refused with the code, and works again when it is back', async () => {
  const place = new Place();
  const client = await place.start();
  const made = await client.make('a cat');
  if (made.type === 'error') throw new Error(made.message);
  rmSync(place.outputsDir, { recursive: true });
  await expect.poll(() => client.make('a dog'), { timeout: 10_000, interval: 300 }).toMatchObject({ type: 'error', code: 'folder_not_writable' });
  expect((await place.ask('GET', `/api/image/${made.result?.filename}`)).status).toBe(404);
  mkdirSync(place.outputsDir);
  await expect.poll(() => client.make('a cat'), { timeout: 10_000, interval: 300 }).toMatchObject({ status: 'completed', job_id: made.job_id });
  expect((await place.ask('DELETE', `/api/jobs/${made.job_id}`)).body['deleted']).toBe(true);
  expect((await place.ask('POST', `/api/jobs/${made.job_id}/restore`)).body['deleted']).toBe(false);
  expect((await place.ask('GET', `/api/image/${made.result?.filename}`)).status).toBe(200);
});

test('a damaged database is moved aside, and the jobs are restored from the images', async () => {
  const place = new Place();
  const client = await place.start();
  const made = [await client.make('a cat'), await client.make('a dog')];
  await place.kill();
  const path = join(place.dataDir, 'jobs.db');
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0xa5, 0, bytes.length >> 1));
  const after = await place.start();
  const aside = readdirSync(place.dataDir).filter((name) => name.startsWith('jobs.db.damaged-'));
  expect(readFileSync(join(place.dataDir, aside[0] ?? '')).equals(bytes)).toBe(true);
  const { jobs } = jobPageSchema.parse((await place.ask('GET', '/api/jobs')).body);
  expect(jobs.map(({ job_id, status }) => `${job_id} ${status}`).sort()).toEqual(
    made.map((end) => `${end.type === 'error' ? '' : end.job_id} completed`).sort(),
  );
  expect(await after.make('a cat')).toMatchObject({ status: 'completed', cached: true });
  expect(await after.make('a bird')).toMatchObject({ status: 'completed' });
});

test('a database of a later version is refused with one sentence and left unchanged', async () => {
  const place = new Place();
  await place.start();
  await place.kill();
  const database = new DatabaseSync(join(place.dataDir, 'jobs.db'));
  database.exec('PRAGMA user_version = 9999');
  database.close();
  const { code, said } = await place.startInVain();
  expect([code, said]).toEqual([1, expect.stringMatching(/^The database [^\n]*9999[^\n]*--data-dir\.$/)]);
  expect(readdirSync(place.dataDir).some((name) => name.includes('damaged'))).toBe(false);
  expect(existsSync(join(place.dataDir, 'jobs.db'))).toBe(true);
});
