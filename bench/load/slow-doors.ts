import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { closeSockets, openSocket, queue } from './sockets.ts';

const REQUESTS = 100;
const SIDE_PX = 512;
const READ_EVERY_MS = 20;

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
    figure('jobs that another client waited for, of those asked for before its own', Math.max(first.before, second.before), '', { most: REQUESTS / 2 + 4 }),
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
  const send = (from: number, to: number): Promise<string>[] =>
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
  const done = new Promise<void>((resolve) => {
    beside.send('{"type":"watch","all":true}');
    beside.on('message', (data: Buffer) => {
      const { status, job_id } = JSON.parse(data.toString());
      if (status !== 'generated') return;
      if (job_id === own) resolve();
      else result.before++;
    });
  });
  await queue(port, 'resume');
  const watching = setInterval(() => (result.peakBytes = Math.max(result.peakBytes, studio.residentBytes())), READ_EVERY_MS);
  await done;
  for (const text of await Promise.all(answers)) if (isWhole(text)) result.whole++;
  clearInterval(watching);
  closeSockets([beside]);
  return result;
}

/** Of two doors in turn. */
function requestOf(number: number, sidePx: number, prompt: string): string {
  const common = { prompt, seed: number, steps: 2 };
  const [path, body] =
    number % 2 === 0
      ? ['/v1/images/generations', { ...common, size: `${sidePx}x${sidePx}` }]
      : ['/sdapi/v1/txt2img', { ...common, width: sidePx, height: sidePx, cfg_scale: 0, override_settings: { zimage_steps: true } }];
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

/** The whole answer, read in small parts. */
async function askSlowly(port: number, request: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', highWaterMark: 16 * 1024 });
  const parts: Buffer[] = [];
  socket.write(request);
  socket.on('data', (part) => {
    parts.push(part);
    socket.pause();
    setTimeout(() => socket.resume(), READ_EVERY_MS);
  });
  await once(socket, 'close');
  return Buffer.concat(parts).toString('latin1');
}

/** The end of a PNG in base64 and the end of the answer around it. */
function isWhole(answer: string): boolean {
  return answer.startsWith('HTTP/1.1 200 ') && /(?:SUVORK5CYII|JRU5ErkJggg|ElFTkSuQmCC)={0,2}"/.test(answer) && answer.endsWith('\r\n0\r\n\r\n');
}

async function waitingReaches(port: number, count: number): Promise<void> {
  while (true) {
    const { waiting } = (await (await fetch(`http://127.0.0.1:${port}/api/queue`)).json()) as { waiting: number };
    if (waiting >= count) return;
    await sleep(READ_EVERY_MS);
  }
}
