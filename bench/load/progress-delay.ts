import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { percentile } from '../harness/statistics.ts';
import { closeSockets, createJob, openSockets } from './sockets.ts';

const SOCKETS = 20;
const STEPS = 50;
const JOBS = 8;

/** Delay of progress from the engine's process to the clients while that process keeps all cores busy. */
export async function measureProgressDelay(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'delay-'));
  const traceFile = join(folder, 'trace');
  const studio = await StudioProcess.start({ engine: { stepMs: 20, busyThreads: availableParallelism(), traceFile } });
  const sockets = await openSockets(studio.port, SOCKETS, 'delay');
  const delaysMs: number[] = [];
  for (let job = 0; job < JOBS; job++) delaysMs.push(...(await progressDelays(sockets, `delay ${job}`, STEPS, traceFile)));
  closeSockets(sockets);
  await studio.dispose();
  await rm(folder, { recursive: true });
  const of = `of ${delaysMs.length} messages, ${availableParallelism()} cores busy`;
  return [
    figure(`delay of progress, 99th percentile, ${of}`, round(percentile(delaysMs, 0.99)), 'ms', { most: 20 }),
    figure(`delay of progress, median ${of}`, round(percentile(delaysMs, 0.5)), 'ms'),
    figure(`delay of progress, longest ${of}`, round(percentile(delaysMs, 1)), 'ms'),
  ];
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Delays in milliseconds of all steps at all sockets: the fake engine writes the time of each step to `traceFile`, by the clock that all processes share. */
async function progressDelays(sockets: readonly WebSocket[], prompt: string, steps: number, traceFile: string): Promise<number[]> {
  const received = await Promise.all(sockets.map((socket) => receiveSteps(socket, prompt, steps)));
  const lines = (await readFile(traceFile, 'utf8')).trim().split('\n').slice(-steps);
  const sentAt = new Map(lines.map((line) => line.split(' ')).map(([step, at]) => [Number(step), BigInt(at ?? 0)]));
  return received.flat().map(({ step, at }) => Number(at - (sentAt.get(step) ?? 0n)) / 1e6);
}

function receiveSteps(socket: WebSocket, prompt: string, steps: number): Promise<{ step: number; at: bigint }[]> {
  const { promise, resolve, reject } = Promise.withResolvers<{ step: number; at: bigint }[]>();
  const received: { step: number; at: bigint }[] = [];
  const onMessage = (data: Buffer): void => {
    const at = process.hrtime.bigint();
    const message: { type: string; status?: string; progress?: { stage: string; current_step: number } } = JSON.parse(data.toString());
    if (message.progress?.stage === 'generating') received.push({ step: message.progress.current_step, at });
    else if (message.type === 'error' || message.status === 'failed') reject(new Error(`the job ended with ${data.toString()}`));
    else if (message.status === 'completed' && received.length === steps) resolve(received);
    else if (message.status === 'completed') reject(new Error(`${received.length} of ${steps} steps arrived`));
  };
  socket.on('message', onMessage);
  socket.send(createJob(prompt, steps));
  return promise.finally(() => socket.off('message', onMessage));
}
