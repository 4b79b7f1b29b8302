import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import type { Check } from '../checks.ts';
import { percentile } from '../percentile.ts';
import { closeSockets, createJob, openSockets } from './sockets.ts';

const SOCKETS = 20;
const STEPS = 50;
const JOBS = 8;

/** How long the news of a step takes from the engine's process to its readers while that process keeps every core busy. */
export async function measureProgressDelay(): Promise<Check[]> {
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
    { what: `delay of progress, 99 % ${of}`, value: round(percentile(delaysMs, 0.99)), unit: 'ms', most: 20 },
    { what: `delay of progress, half ${of}`, value: round(percentile(delaysMs, 0.5)), unit: 'ms' },
    { what: `delay of progress, longest ${of}`, value: round(percentile(delaysMs, 1)), unit: 'ms' },
  ];
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Delays in milliseconds of all steps at all sockets: the fake engine notes in `traceFile` when it tells a step, by the clock that all processes share. */
async function progressDelays(sockets: readonly WebSocket[], prompt: string, steps: number, traceFile: string): Promise<number[]> {
  const received = await Promise.all(sockets.map((socket) => receiveSteps(socket, prompt, steps)));
  const lines = (await readFile(traceFile, 'utf8')).trim().split('\n').slice(-steps);
  const toldAt = new Map(lines.map((line) => line.split(' ')).map(([step, at]) => [Number(step), BigInt(at ?? 0)]));
  return received.flat().map(({ step, at }) => Number(at - (toldAt.get(step) ?? 0n)) / 1e6);
}

function receiveSteps(socket: WebSocket, prompt: string, steps: number): Promise<{ step: number; at: bigint }[]> {
  const { promise, resolve, reject } = Promise.withResolvers<{ step: number; at: bigint }[]>();
  const received: { step: number; at: bigint }[] = [];
  const onMessage = (data: Buffer): void => {
    const at = process.hrtime.bigint();
    const message: { type: string; status?: string; progress?: { stage: string; current_step: number } } = JSON.parse(data.toString());
    if (message.progress?.stage === 'generating') received.push({ step: message.progress.current_step, at });
    else if (message.type === 'error' || message.status === 'failed') reject(new Error(`the job ended so: ${data.toString()}`));
    else if (message.status === 'completed' && received.length === steps) resolve(received);
    else if (message.status === 'completed') reject(new Error(`${received.length} of ${steps} steps were told`));
  };
  socket.on('message', onMessage);
  socket.send(createJob(prompt, steps));
  return promise.finally(() => socket.off('message', onMessage));
}
