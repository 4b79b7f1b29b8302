import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ServerMessage } from '#shared/protocol/messages.ts';
import { SocketClient } from '../support/socket-client.ts';
import { StudioProcess } from '../support/studio-process.ts';

/**
 * Valid messages in an unusual order or from another client, against the real server. The queue is paused, so a job stays `pending` until its test
 * resumes it. Each expected line is a type, a status or code, and the message's `request_id`.
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

/** The messages that a client receives after it sends all of these at once. */
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

/** Creates a waiting job of `client` and returns its id. */
async function waitingJob(client: SocketClient, prompt = wish): Promise<string> {
  const [message] = await client.converse([create('c', prompt)]);
  if (message?.type !== 'job_status') throw new Error(`not accepted: ${JSON.stringify(message)}`);
  return message.job_id;
}

test('requested, queried and listed at once: answered in that order', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(a, create('c2', `${wish} too`), { type: 'get_client_jobs', request_id: 'l' }, status(jobId, 's'))).toEqual([
    'pending c2',
    '2 jobs l',
    'pending s',
  ]);
});

test('the same request twice at once is one job, answered with both request_ids', async () => {
  expect(await hears(a, create('c1'), create('c2'), { type: 'get_client_jobs', request_id: 'l' })).toEqual(['pending c1', 'pending c2', '1 jobs l']);
});

test('an existing and a new job at once: `seq` grows in the order of the answers', async () => {
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

test('cancelled and requested again at once: the same job starts again', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(a, cancel(jobId, 'c'), create('c2'), status(jobId, 's'))).toEqual(['cancelled c', 'pending c2', 'pending s']);
});

test('the job of another client can be queried and joined, but not cancelled', async () => {
  const jobId = await waitingJob(a);
  expect(await hears(b, cancel(jobId, 'x'), status(jobId, 's'), create('c'), { type: 'get_client_jobs', request_id: 'l' })).toEqual([
    'job_of_others x',
    'pending s',
    'pending c',
    '1 jobs l',
  ]);
  expect(await hears(a)).toEqual([]);
});

test('with two clients on a job, the first cancellation leaves it, the second ends it', async () => {
  const jobId = await waitingJob(a);
  await waitingJob(b);
  expect(await hears(a, cancel(jobId, 'c'), cancel(jobId, 'x'), status(jobId, 's'))).toEqual(['cancelled c', 'not_cancellable x', 'cancelled s']);
  expect(await hears(b, status(jobId, 's'), cancel(jobId, 'c'), status(jobId, 's2'))).toEqual(['pending s', 'cancelled c', 'cancelled s2']);
  expect(await hears(a, status(jobId, 's'))).toEqual(['cancelled s']);
});

test('an unknown job stays unknown after any message about it', async () => {
  await waitingJob(a);
  expect(await hears(a, status(NO_JOB, 's'), cancel(NO_JOB, 'x'))).toEqual(['unknown_job s', 'unknown_job x']);
});

test('disconnected right after a request: the job exists, and its messages are sent again', async () => {
  await waitingJob(a);
  a.close();
  const back = await SocketClient.open(url, `a-${wishes}`);
  expect(await hears(back, { type: 'watch', since: 0, request_id: 'w' })).toEqual(['pending c', 'watching w']);
  // a number from the future can only come from a lost database
  expect(await hears(back, { type: 'watch', since: 9_000_000, request_id: 'w' })).toEqual(['pending c', 'watching w']);
});

test('two connections with one client_id both get the messages of the job; an answer goes only to the connection that asked', async () => {
  const twin = await SocketClient.open(url, `a-${wishes}`);
  const jobId = await waitingJob(a);
  expect(await hears(twin, status(jobId, 's'))).toEqual(['pending c', 'pending s']);
  expect(await hears(a)).toEqual([]);
});

test('only waiting jobs can be moved, only jobs in the bin restored, only ended jobs deleted', async () => {
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

test('an ended job cannot be cancelled, and is answered from the saved result, to new clients too', async () => {
  await queue({ action: 'resume' });
  const jobId = await waitingJob(a);
  await a.status(jobId, ['completed']);
  await queue({ action: 'pause' });
  await hears(a);
  expect(await hears(a, cancel(jobId, 'x'), create('c2'), status(jobId, 's'))).toEqual(['not_cancellable x', 'completed cached c2', 'completed s']);
  expect(await hears(b, cancel(jobId, 'x'), create('c'))).toEqual(['not_cancellable x', 'completed cached c']);
  expect(await hears(a)).toEqual([]);
});
