import { once } from 'node:events';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { percentile } from '../harness/statistics.ts';
import { closeSockets, openSocket, queue } from './sockets.ts';
import { submit } from './submit.ts';

const READERS = 30;
const JOBS = 200;
const DEADLINE_MS = 60_000;

/** Sockets that keep asking for a long list and never read, beside a client that does; run twice, so that memory kept from the first run shows. */
export async function measureSlowReaders(): Promise<Row[]> {
  const studio = await StudioProcess.start();
  const first = await floodSlowReaders(studio, READERS, JOBS);
  const before = await studio.memory();
  const second = await floodSlowReaders(studio, READERS, JOBS);
  const after = await studio.memory();
  await studio.dispose();
  return [
    figure(`slow readers disconnected, of 2 times ${READERS}`, first.cut + second.cut, '', { least: 2 * READERS }),
    figure('memory of the server before they were disconnected', megabytes(Math.max(first.peakBytes, second.peakBytes)), 'MB', { most: 512 }),
    figure('growth of resident memory in the second run', megabytes(after.rss - before.rss), 'MB', { most: 64 }),
    figure('growth of live memory in the second run', megabytes(after.heapUsed + after.external - before.heapUsed - before.external), 'MB', { most: 16 }),
    figure('answer to a client beside them, 99th percentile', Math.round(percentile([...first.answersMs, ...second.answersMs], 0.99)), 'ms', { most: 1000 }),
  ];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

interface SlowReaders {
  /** Slow readers that were disconnected before the deadline. */
  cut: number;
  /** Milliseconds that the client beside them waited for each answer. */
  answersMs: number[];
  /** Peak resident size of the server. */
  peakBytes: number;
}

export async function floodSlowReaders(studio: StudioProcess, readers: number, jobs: number): Promise<SlowReaders> {
  const { port } = studio;
  await queue(port, 'pause');
  const quick = await openSocket(port, '?client_id=quick');
  const slow = await Promise.all(Array.from({ length: readers }, () => openSocket(port, '?client_id=slow')));
  const closed = slow.map((socket) => once(socket, 'close'));
  await submit(slow.slice(0, 1), jobs, 50, 'list');
  for (const socket of slow) {
    socket.on('error', () => {});
    socket.pause();
  }
  const result: SlowReaders = { cut: 0, answersMs: [], peakBytes: 0 };
  const deadline = performance.now() + DEADLINE_MS;
  const cutBefore = cutCount(studio);
  for (let round = 0; cutCount(studio) < cutBefore + readers && performance.now() < deadline; round++) {
    for (const socket of slow) if (socket.readyState === socket.OPEN) socket.send('{"type":"get_client_jobs"}', () => {});
    const askedAt = performance.now();
    quick.send(`{"type":"watch","request_id":${round}}`);
    await once(quick, 'message');
    result.answersMs.push(performance.now() - askedAt);
    result.peakBytes = Math.max(result.peakBytes, studio.residentBytes());
  }
  // reading what the system buffered for them, they notice the disconnect
  for (const socket of slow) socket.resume();
  if (cutCount(studio) === cutBefore + readers) await Promise.all(closed);
  result.cut = slow.filter((socket) => socket.readyState === socket.CLOSED).length;
  closeSockets([...slow, quick]);
  return result;
}

/** Disconnected slow readers since the server's start, from its log. */
function cutCount(studio: StudioProcess): number {
  return studio.output.split('"slow_reader"').length - 1;
}
