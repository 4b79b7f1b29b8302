import { setTimeout as sleep } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { createJob, openSocket } from './sockets.ts';

const MINUTES = 20;
const WARM_UP_MINUTES = 3;
const VISIT_EVERY_MS = 500;
const EMPTY_BIN_EVERY = 60;

/** Twenty minutes of visitors, one every half second: the server's memory must not grow with them. */
export async function measureSoak(): Promise<Row[]> {
  const studio = await StudioProcess.start();
  const watcher = await openSocket(studio.port, '?client_id=watcher');
  watcher.send('{"type":"watch","all":true,"previews":true}');
  let heard = 0;
  watcher.on('message', () => heard++);
  const failures: string[] = [];
  const residentBytes: number[] = [];
  const liveBytes: number[] = [];
  const startedAt = performance.now();
  let visits = 0;
  const under: Promise<void>[] = [];
  for (let minute = 1; minute <= MINUTES; minute++) {
    for (; performance.now() - startedAt < minute * 60_000; visits++) {
      under.push(visit(studio.port, visits).catch((error: unknown) => void failures.push(String(error))));
      await sleep(VISIT_EVERY_MS);
    }
    await Promise.all(under.splice(0));
    const { rss, heapUsed, external } = await studio.memory();
    residentBytes.push(rss);
    liveBytes.push(heapUsed + external);
    console.log(`  minute ${minute}: ${visits} visits, ${megabytes(rss)} MB resident, ${megabytes(heapUsed + external)} MB live`);
  }
  for (const failure of failures.slice(0, 10)) console.error(failure);
  watcher.terminate();
  await studio.dispose();
  return [
    figure(`visits in ${MINUTES} minutes, each with a job to its end`, visits),
    figure('visits that failed', failures.length, '', { most: 0 }),
    figure('messages received by the client that watched throughout', heard),
    figure('growth of resident memory', megabytes(growth(residentBytes)), 'MB', { most: 16 }),
    figure('growth of live memory', megabytes(growth(liveBytes)), 'MB', { most: 16 }),
  ];
}

/** From the first three minutes after the warm-up to the last three. */
function growth(byMinute: readonly number[]): number {
  return median(byMinute.slice(-3)) - median(byMinute.slice(WARM_UP_MINUTES, WARM_UP_MINUTES + 3));
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}

/** A new client submits a job, disconnects in the middle, reconnects for what it missed, fetches the image and lists, and deletes every other job. */
async function visit(port: number, number: number): Promise<void> {
  const base = `http://127.0.0.1:${port}`;
  const first = await openSocket(port, `?client_id=visitor-${number}`);
  first.send(createJob(`visit ${number}`));
  const { job_id } = await until(first, ({ status }) => status === 'processing');
  first.terminate();
  const second = await openSocket(port, `?client_id=visitor-${number}&since=0`);
  const { result } = await until(second, ({ status }) => status === 'completed');
  second.send('{"type":"get_client_jobs"}');
  await until(second, ({ type }) => type === 'client_jobs');
  second.send('{"type":"nonsense"}');
  await until(second, ({ type }) => type === 'error');
  second.close();
  for (const path of [`/api/image/${result?.filename}`, `/api/image/${result?.upscaled_filename}?w=128`, `/api/jobs?query=visit&limit=20`, '/api/info']) {
    await asked(base + path);
  }
  if (number % 2 === 0) await asked(`${base}/api/jobs/${job_id}`, 'DELETE');
  if (number % EMPTY_BIN_EVERY === 0) await asked(`${base}/api/bin`, 'DELETE');
}

async function asked(url: string, method = 'GET'): Promise<void> {
  const answer = await fetch(url, { method });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${method} ${url} answered ${answer.status}`);
}

interface Message {
  type: string;
  status?: string;
  job_id?: string;
  result?: { filename: string; upscaled_filename?: string };
}

function until(socket: WebSocket, isIt: (message: Message) => boolean): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const onMessage = (data: Buffer): void => {
    const message: Message = JSON.parse(data.toString());
    if (isIt(message)) resolve(message);
    else if (message.status === 'failed') reject(new Error(`a job failed: ${data.toString()}`));
  };
  const onClose = (code: number): void => reject(new Error(`the socket was closed with ${code}`));
  socket.on('message', onMessage);
  socket.on('close', onClose);
  return promise.finally(() => {
    socket.off('message', onMessage);
    socket.off('close', onClose);
  });
}
