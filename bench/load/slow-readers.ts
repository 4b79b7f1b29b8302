import { once } from 'node:events';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import type { Check } from '../checks.ts';
import { percentile } from '../percentile.ts';
import { closeSockets, openSocket, queue } from './sockets.ts';
import { submit } from './submit.ts';

const READERS = 30;
const JOBS = 200;
const DEADLINE_MS = 60_000;

/** Sockets that ask again and again for a long list and read nothing of it, beside one that goes on asking and reading. */
export async function measureSlowReaders(): Promise<Check[]> {
  const studio = await StudioProcess.start();
  const before = (await studio.memory()).rss;
  const { cut, answersMs, peakBytes } = await floodSlowReaders(studio, READERS, JOBS);
  const after = (await studio.memory()).rss;
  await studio.dispose();
  return [
    { what: `slow readers cut, of ${READERS}`, value: cut, unit: '', least: READERS },
    { what: 'memory of the server while they were not yet cut', value: Math.round(peakBytes / 1e6), unit: 'MB', most: 512 },
    { what: 'more memory of the server afterwards than before', value: Math.round((after - before) / 1e6), unit: 'MB', most: 64 },
    { what: 'answer to the reader beside them, 99 %', value: Math.round(percentile(answersMs, 0.99)), unit: 'ms', most: 1000 },
  ];
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
  const countCut = () => studio.output.split('"slow_reader"').length - 1;
  for (let round = 0; countCut() < readers && performance.now() < deadline; round++) {
    for (const socket of slow) if (socket.readyState === socket.OPEN) socket.send('{"type":"get_client_jobs"}', () => {});
    const askedAt = performance.now();
    quick.send(`{"type":"watch","request_id":${round}}`);
    await once(quick, 'message');
    result.answersMs.push(performance.now() - askedAt);
    result.peakBytes = Math.max(result.peakBytes, studio.residentBytes());
  }
  // now they read what the system had kept for them, and find that they were cut
  for (const socket of slow) socket.resume();
  if (countCut() === readers) await Promise.all(closed);
  result.cut = slow.filter((socket) => socket.readyState === socket.CLOSED).length;
  closeSockets([...slow, quick]);
  return result;
}
