import type { WebSocket } from 'ws';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { closeSockets, createJob, openSockets, queue } from './sockets.ts';

const ROUNDS = 5;
const JOBS = 1000;

/** Jobs accepted per second, each on the disk before its `pending` is sent; none of them may be lost by a kill. */
export async function measureSubmits(): Promise<Row[]> {
  const studio = await StudioProcess.start();
  await queue(studio.port, 'pause');
  const rates = new Map<string, number[]>();
  let accepted: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [what, sockets, inFlight, jobs] of [
      ['one connection, each submit after the previous answer', 1, 1, 300],
      ['one connection', 1, 200, JOBS],
      ['50 connections', 50, 20, JOBS],
    ] as const) {
      await queue(studio.port, 'clear');
      const clients = await openSockets(studio.port, sockets, 'submit');
      const { ms, jobIds } = await submit(clients, jobs, inFlight, `${what} ${round}`);
      closeSockets(clients);
      rates.set(what, [...(rates.get(what) ?? []), (jobIds.length / ms) * 1000]);
      accepted = jobIds;
    }
  }
  await studio.end('SIGKILL');
  const again = await StudioProcess.start({ dataDir: studio.dataDir });
  const there = await pendingIds(again.port);
  await again.dispose();
  const lost = accepted.filter((id) => !there.has(id)).length;
  return [
    // one at a time measures the disk's sync, not the server, so it has no limit
    ...[...rates].map(([what, series], i) => figure(`submits, ${what}`, Math.round(median(series)), '/s', i === 0 ? {} : { least: 300, goal: 1000 })),
    figure(`acknowledged submits missing after SIGKILL, of ${accepted.length}`, lost, '', { most: 0 }),
  ];
}

export interface Submitted {
  ms: number;
  /** Ids of the jobs that were acknowledged as `pending`. */
  jobIds: string[];
}

/**
 * Submits `count` different jobs in equal parts over `sockets`, with at most `inFlight` unanswered on each, and waits for every `pending`.
 * Rejects when a submit is answered by anything else.
 */
export async function submit(sockets: readonly WebSocket[], count: number, inFlight: number, name: string): Promise<Submitted> {
  const each = Math.ceil(count / sockets.length);
  const startedAt = performance.now();
  const parts = await Promise.all(sockets.map((socket, i) => submitOn(socket, Math.min(each, count - i * each), inFlight, `${name}, ${i}`)));
  return { ms: performance.now() - startedAt, jobIds: parts.flat() };
}

function submitOn(socket: WebSocket, count: number, inFlight: number, name: string): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string[]>();
  const jobIds: string[] = [];
  let sent = 0;
  const sendNext = (): void => {
    if (sent < count) socket.send(createJob(`${name}, ${sent++}`));
  };
  const onMessage = (data: Buffer): void => {
    const message: { type: string; status?: string; job_id?: string } = JSON.parse(data.toString());
    if (message.status !== 'pending' || message.job_id === undefined) reject(new Error(`a submit was answered by ${data.toString()}`));
    else if (jobIds.push(message.job_id) === count) resolve(jobIds);
    else sendNext();
  };
  socket.on('message', onMessage);
  socket.once('close', () => reject(new Error(`the socket was closed after ${jobIds.length} of ${count} submits`)));
  for (let i = 0; i < inFlight; i++) sendNext();
  return promise.finally(() => socket.off('message', onMessage));
}

/** Ids of all jobs that wait. */
export async function pendingIds(port: number): Promise<Set<string>> {
  const ids = new Set<string>();
  for (let before = ''; ; ) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/jobs?status=pending&limit=500${before}`);
    const page: { jobs: { job_id: string }[]; next: number | null } = JSON.parse(await answer.text());
    for (const { job_id } of page.jobs) ids.add(job_id);
    if (page.next === null) return ids;
    before = `&before=${page.next}`;
  }
}
