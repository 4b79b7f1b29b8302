import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { closeSockets, openSocket, queue } from './sockets.ts';

const REQUESTS = 100;
const SIDE_PX = 512;
const READ_EVERY_MS = 20;
/** Clients take turns, and four jobs run at a time. */
export const MAX_BEFORE = 8;

/** Requests of other programs' clients that read slowly, and one job of a WebSocket client among them; run twice, so that memory kept from the first run shows. */
export async function measureSlowDoors(): Promise<Row[]> {
  const studio = await StudioProcess.start();
  const first = await floodDoors(studio, REQUESTS, SIDE_PX, 'first');
  const before = await studio.memory();
  const second = await floodDoors(studio, REQUESTS, SIDE_PX, 'second');
  const after = await studio.memory();
  await studio.dispose();
  return [
    figure(`answered whole, of 2 times ${REQUESTS} door requests at once with slow readers`, first.whole + second.whole, '', { least: 2 * REQUESTS }),
    figure('jobs of these requests that another client waited for, its job being the 51st', Math.max(first.before, second.before), '', { most: MAX_BEFORE }),
    figure('memory of the server meanwhile', megabytes(Math.max(first.peakBytes, second.peakBytes)), 'MB', { most: 512 }),
    figure('growth of resident memory in the second run', megabytes(after.rss - before.rss), 'MB', { most: 64 }),
    figure('growth of live memory in the second run', megabytes(after.heapUsed + after.external - before.heapUsed - before.external), 'MB', { most: 16 }),
  ];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

interface SlowDoors {
  /** Requests whose answer came with a whole image. */
  whole: number;
  /** Jobs of door requests that were generated before the job of the client beside them, which was asked for in their middle. */
  before: number;
  /** Peak resident size of the server. */
  peakBytes: number;
}

export async function floodDoors(studio: StudioProcess, requests: number, sidePx: number, prompt: string): Promise<SlowDoors> {
  const { port } = studio;
  await queue(port, 'pause');
  const beside = await openSocket(port, '?client_id=beside');
  const send = (from: number, to: number): Promise<Buffer>[] =>
    Array.from({ length: to - from }, (_, at) => askSlowly(port, requestOf(from + at, sidePx, prompt)));
  const answers = send(0, requests / 2);
  await waitingReaches(port, requests / 2);
  const params = { prompt: `beside ${prompt}`, width: sidePx, height: sidePx, steps: 2, upscale: false };
  beside.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params }));
  const [pending] = await once(beside, 'message');
  const own: string = JSON.parse(pending.toString()).job_id;
  answers.push(...send(requests / 2, requests));
  await waitingReaches(port, requests + 1);

  const result: SlowDoors = { whole: 0, before: 0, peakBytes: 0 };
  let isServed = false;
  const done = new Promise<void>((resolve) => {
    beside.send('{"type":"watch","all":true}');
    beside.on('message', (data: Buffer) => {
      const { status, job_id } = JSON.parse(data.toString());
      if (status !== 'generated') return;
      if (job_id === own) isServed = true;
      if (isServed) resolve();
      else result.before++;
    });
  });
  await queue(port, 'resume');
  const watching = setInterval(() => (result.peakBytes = Math.max(result.peakBytes, studio.residentBytes())), READ_EVERY_MS);
  await done;
  for (const png of await Promise.all(answers)) if (isWhole(png)) result.whole++;
  clearInterval(watching);
  closeSockets([beside]);
  return result;
}

/** Of two doors in turn. */
function requestOf(number: number, sidePx: number, prompt: string): { path: string; body: object } {
  const common = { prompt, seed: number, steps: 2 };
  return number % 2 === 0
    ? { path: '/v1/images/generations', body: { ...common, size: `${sidePx}x${sidePx}` } }
    : { path: '/sdapi/v1/txt2img', body: { ...common, width: sidePx, height: sidePx, cfg_scale: 0, override_settings: { zimage_steps: true } } };
}

/** The first image of the answer, which is read in small parts. */
async function askSlowly(port: number, { path, body }: { path: string; body: object }): Promise<Buffer> {
  const asked = request({ port, host: '127.0.0.1', path, method: 'POST', agent: false, headers: { 'content-type': 'application/json' } });
  asked.end(JSON.stringify(body));
  const [answer]: IncomingMessage[] = await once(asked, 'response');
  if (answer === undefined) throw new Error('no answer came');
  const parts: Buffer[] = [];
  answer.on('data', (part) => {
    parts.push(part);
    answer.pause();
    setTimeout(() => answer.resume(), READ_EVERY_MS);
  });
  await once(answer, 'end');
  const { images, data } = JSON.parse(Buffer.concat(parts).toString());
  return Buffer.from(images?.[0] ?? data?.[0]?.b64_json ?? '', 'base64');
}

/** Begins and ends as a PNG does. */
function isWhole(png: Buffer): boolean {
  return png.toString('latin1', 1, 4) === 'PNG' && png.toString('latin1', png.length - 8, png.length - 4) === 'IEND';
}

async function waitingReaches(port: number, count: number): Promise<void> {
  while (true) {
    const { waiting } = (await (await fetch(`http://127.0.0.1:${port}/api/queue`)).json()) as { waiting: number };
    if (waiting >= count) return;
    await sleep(READ_EVERY_MS);
  }
}
