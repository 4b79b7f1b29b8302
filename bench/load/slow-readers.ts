import { once } from 'node:events';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import type { Check } from '../checks.ts';
import { percentile } from '../percentile.ts';
import { closeSockets, openSocket, queue } from './sockets.ts';
import { submit } from './submit.ts';

const READERS = 30;
const JOBS = 200;
const DEADLINE_MS = 60_000;

/** Sockets that ask again and again for a long list and read nothing of it, beside one that goes on asking and reading; twice, to see what stays of the first time. */
export async function measureSlowReaders(): Promise<Check[]> {
  const studio = await StudioProcess.start();
  const first = await floodSlowReaders(studio, READERS, JOBS);
  const before = await studio.memory();
  const second = await floodSlowReaders(studio, READERS, JOBS);
  const after = await studio.memory();
  await studio.dispose();
  return [
    { what: `slow readers cut, of 2 times ${READERS}`, value: first.cut + second.cut, unit: '', least: 2 * READERS },
    { what: 'memory of the server while they were not yet cut', value: megabytes(Math.max(first.peakBytes, second.peakBytes)), unit: 'MB', most: 512 },
    { what: 'growth of resident memory by the second time', value: megabytes(after.rss - before.rss), unit: 'MB', most: 64 },
    {
      what: 'growth of live memory by the second time',
      value: megabytes(after.heapUsed + after.external - before.heapUsed - before.external),
      unit: 'MB',
      most: 16,
    },
    { what: 'answer to the reader beside them, 99 %', value: Math.round(percentile([...first.answersMs, ...second.answersMs], 0.99)), unit: 'ms', most: 1000 },
  ];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

interface SlowReaders {
  /** How many of those that read nothing were cut before the deadline. */
  cut: number;
  /** How long the reader beside them waited for each answer. */
  answersMs: number[];
  /** Largest resident size of the server on the way. */
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
  // now they read what the system had kept for them, and find that they were cut
  for (const socket of slow) socket.resume();
  if (cutCount(studio) === cutBefore + readers) await Promise.all(closed);
  result.cut = slow.filter((socket) => socket.readyState === socket.CLOSED).length;
  closeSockets([...slow, quick]);
  return result;
}

/** Since the server's start, by its log. */
function cutCount(studio: StudioProcess): number {
  return studio.output.split('"slow_reader"').length - 1;
}
