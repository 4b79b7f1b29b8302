import type { WebSocket } from 'ws';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { closeSockets, createJob, openSockets, queue } from './sockets.ts';

const SOCKETS = 500;
const STEPS = 50;
const ROUNDS = 6;

/** Delivery rate of one job's progress to 500 sockets, each with its own client id, from an engine that takes no time. */
export async function measureFanOut(): Promise<Row[]> {
  const studio = await StudioProcess.start({ engine: { stepMs: 0 } });
  const sockets = await openSockets(studio.port, SOCKETS, 'fan-out');
  const rounds: FannedOut[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await queue(studio.port, 'pause');
    rounds.push(await fanOut(sockets, `fan-out ${round}`, STEPS, () => queue(studio.port, 'resume')));
  }
  closeSockets(sockets);
  await studio.dispose();
  const delivered = rounds.reduce((sum, { messages }) => sum + messages, 0);
  return [
    figure(`messages to ${SOCKETS} sockets`, Math.round(median(rounds.map(rate))), '/s', { least: 10_000, goal: 25_000 }),
    figure(`steps that were not delivered, of ${ROUNDS * STEPS * SOCKETS}`, ROUNDS * STEPS * SOCKETS - delivered, '', { most: 0 }),
  ];
}

export interface FannedOut {
  /** Messages about denoising steps that all sockets received together. */
  messages: number;
  /** From the first of them that any socket received to the last. */
  ms: number;
}

/** Messages per second. */
export function rate({ messages, ms }: FannedOut): number {
  return (messages / ms) * 1000;
}

/** Has every socket ask for the same job, which must wait until `start` is called, and follow it to its end. */
export async function fanOut(sockets: readonly WebSocket[], prompt: string, steps: number, start: () => Promise<void>): Promise<FannedOut> {
  const followers = sockets.map((socket) => follow(socket, prompt, steps));
  await Promise.all(followers.map(({ joined }) => joined));
  await start();
  const followed = await Promise.all(followers.map(({ ended }) => ended));
  const times = followed.flat();
  return { messages: times.length, ms: Math.max(...times) - Math.min(...times) };
}

/** `ended` resolves with the arrival times of the steps. */
function follow(socket: WebSocket, prompt: string, steps: number): { joined: Promise<void>; ended: Promise<number[]> } {
  const joined = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<number[]>();
  const times: number[] = [];
  const onMessage = (data: Buffer): void => {
    // not parsed, so that the server is measured and not this program
    if (data.includes('"job_progress"')) {
      if (data.includes('"generating"')) times.push(performance.now());
      return;
    }
    const message: { type: string; status?: string } = JSON.parse(data.toString());
    if (message.status === 'pending') joined.resolve();
    else if (message.status === 'completed') ended.resolve(times);
    else if (message.type === 'error' || message.status === 'failed') ended.reject(new Error(`the job ended with ${data.toString()}`));
  };
  socket.on('message', onMessage);
  socket.send(createJob(prompt, steps));
  return { joined: joined.promise, ended: ended.promise.finally(() => socket.off('message', onMessage)) };
}
