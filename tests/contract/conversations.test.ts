import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ServerMessage } from '#shared/protocol/messages.ts';
import { SocketClient } from '../support/socket-client.ts';
import { StudioProcess } from '../support/studio-process.ts';

/**
 * Good messages in an order, or from somebody, that they were not meant for, against the real server. The queue stands still, so that a job stays `pending`
 * until its test lets it go on. Each line heard is a type, a status or code, and the `request_id` that it carries.
 */

const NO_JOB = '0'.repeat(64);

let server: StudioProcess;
let url: string;
let wishes = 0;
let wish = '';
let a: SocketClient;
let b: SocketClient;

beforeAll(async () => {
  server = await StudioProcess.start();
  url = `http://127.0.0.1:${server.port}`;
  await queue({ action: 'pause' });
});
afterAll(() => server.dispose());
beforeEach(async () => {
  wish = `wish ${wishes++}`;
  [a, b] = [await SocketClient.open(url, `a-${wishes}`), await SocketClient.open(url, `b-${wishes}`)];
});

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const json = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(`${url}${path}`, { method, ...json });
  return { status: answer.status, body: await answer.json() };
}

async function queue(action: Record<string, unknown>): Promise<void> {
  expect((await call('POST', '/api/queue', action)).status).toBe(200);
}

const create = (requestId: string, prompt = wish) => ({
  type: 'create_job',
  task_type: 'text_to_image',
  request_id: requestId,
  params: { prompt, width: 256, height: 256, steps: 2 },
});
const status = (jobId: string, requestId: string) => ({ type: 'get_status', job_id: jobId, request_id: requestId });
const cancel = (jobId: string, requestId: string) => ({ type: 'cancel_job', job_id: jobId, request_id: requestId });

/** What the client hears when it says all of this at once. */
async function hears(client: SocketClient, ...messages: unknown[]): Promise<string[]> {
  const heard = await client.converse(messages);
  const numbers = heard.flatMap((message) => ('seq' in message && message.seq !== undefined && message.type === 'job_status' ? [message.seq] : []));
  expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
  return heard.map(line);
}

function line(message: ServerMessage): string {
  const requestId = 'request_id' in message ? ` ${message.request_id}` : '';
  if (message.type === 'job_status') return `${message.status}${message.cached === true ? ' cached' : ''}${requestId}`;
  if (message.type === 'error') return `${message.code}${requestId}`;
  if (message.type === 'client_jobs') return `${message.jobs.length} jobs${requestId}`;
  return `${message.type}${requestId}`;
}

/** Makes the wish a waiting job of `client` and returns its id. */
async function waitingJob(client: SocketClient, prompt = wish): Promise<string> {
  const [message] = await client.converse([create('c', prompt)]);
  if (message?.type !== 'job_status') throw new Error(`not accepted: ${JSON.stringify(message)}`);
  return message.job_id;
}

test('asked for, looked at and listed in one breath: answered in that order', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(a, create('c2', `${wish} too`), { type: 'get_client_jobs', request_id: 'l' }, status(jobId, 's'))).toEqual([
    'pending c2',
    '2 jobs l',
    'pending s',
  ]);
});

test('the same twice in one breath is one job, each with its own request_id', async () => {
  expect(await hears(a, create('c1'), create('c2'), { type: 'get_client_jobs', request_id: 'l' })).toEqual(['pending c1', 'pending c2', '1 jobs l']);
});

test('one that is there already and a new one in one breath: the numbers grow in the order of the answers', async () => {
  await waitingJob(b);
  expect(await hears(a, create('c1'), create('c2', `${wish} too`), create('c3'))).toEqual(['pending c1', 'pending c2', 'pending c3']);
});

test('two jobs under one request_id are two jobs', async () => {
  expect(await hears(a, create('c'), create('c', `${wish} too`), { type: 'get_client_jobs', request_id: 'l' })).toEqual(['pending c', 'pending c', '2 jobs l']);
});

test('cancelled twice: the second time there is nothing to cancel', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(a, cancel(jobId, 'x1'), cancel(jobId, 'x2'), status(jobId, 's'))).toEqual([
    'cancelled c',
    'cancelled x1',
    'not_cancellable x2',
    'cancelled s',
  ]);
});

test('cancelled and asked for again in one breath: the same job starts anew', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(a, cancel(jobId, 'c'), create('c2'), status(jobId, 's'))).toEqual(['cancelled c', 'pending c2', 'pending s']);
});

test('a job of somebody else can be looked at and joined, but not cancelled', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(b, cancel(jobId, 'x'), status(jobId, 's'), create('c'), { type: 'get_client_jobs', request_id: 'l' })).toEqual([
    'job_of_others x',
    'pending s',
    'pending c',
    '1 jobs l',
  ]);
  expect(await hears(a)).toEqual([]);
});

test('of two who want a job the first who cancels is out, the second ends it', async () => {
  const jobId = await waitingJob(a);
  await waitingJob(b);
  expect(await hears(a, cancel(jobId, 'c'), cancel(jobId, 'x'), status(jobId, 's'))).toEqual(['cancelled c', 'not_cancellable x', 'cancelled s']);
  expect(await hears(b, status(jobId, 's'), cancel(jobId, 'c'), status(jobId, 's2'))).toEqual(['pending s', 'cancelled c', 'cancelled s2']);
  expect(await hears(a, status(jobId, 's'))).toEqual(['cancelled s']);
});

test('a job that nobody knows stays unknown, whatever was done before', async () => {
  await waitingJob(a);
  expect(await hears(a, status(NO_JOB, 's'), cancel(NO_JOB, 'x'))).toEqual(['unknown_job s', 'unknown_job x']);
});

test('gone right after asking: the job is there, and what was told can be heard again', async () => {
  await waitingJob(a);
  a.close();
  const back = await SocketClient.open(url, `a-${wishes}`);
  expect(await hears(back, { type: 'watch', since: 0, request_id: 'w' })).toEqual(['pending c', 'watching w']);
  // a number from the future can only be one of a database that was lost
  expect(await hears(back, { type: 'watch', since: 9_000_000, request_id: 'w' })).toEqual(['pending c', 'watching w']);
});

test('two connections with one client_id both hear; what only one asked for is answered to that one', async () => {
  const twin = await SocketClient.open(url, `a-${wishes}`);
  const jobId = await waitingJob(a);
  expect(await hears(twin, status(jobId, 's'))).toEqual(['pending c', 'pending s']);
  expect(await hears(a)).toEqual([]);
});

test('what does not wait cannot be moved, what does not lie in the bin stays where it is, what has not ended cannot be deleted', async () => {
  const jobId = await waitingJob(a);
  expect(await call('POST', '/api/queue', { action: 'move', job_id: jobId, before: jobId })).toMatchObject({ status: 404, body: { code: 'unknown_job' } });
  expect(await call('POST', '/api/queue', { action: 'move', job_id: jobId, before: NO_JOB })).toMatchObject({ status: 404, body: { code: 'unknown_job' } });
  expect(await call('DELETE', `/api/jobs/${jobId}`)).toMatchObject({ status: 409, body: { code: 'job_not_ended' } });
  expect(await call('POST', `/api/jobs/${jobId}/restore`)).toMatchObject({ status: 200, body: { deleted: false } });
  await hears(a, cancel(jobId, 'x'));
  expect(await call('POST', '/api/queue', { action: 'move', job_id: jobId, before: null })).toMatchObject({ status: 404, body: { code: 'unknown_job' } });
  expect(await call('DELETE', `/api/jobs/${jobId}`)).toMatchObject({ status: 200, body: { deleted: true } });
  expect(await call('DELETE', `/api/jobs/${jobId}`)).toMatchObject({ status: 200, body: { deleted: true } });
});

test('after the end: not to be cancelled, answered from what is there, to newcomers too', async () => {
  await queue({ action: 'resume' });
  const jobId = await waitingJob(a);
  await a.status(jobId, ['completed']);
  await queue({ action: 'pause' });
  await hears(a);
  expect(await hears(a, cancel(jobId, 'x'), create('c2'), status(jobId, 's'))).toEqual(['not_cancellable x', 'completed cached c2', 'completed s']);
  expect(await hears(b, cancel(jobId, 'x'), create('c'))).toEqual(['not_cancellable x', 'completed cached c']);
  expect(await hears(a)).toEqual([]);
});
