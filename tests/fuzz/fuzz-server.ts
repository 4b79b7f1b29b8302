import { setTimeout as sleep } from 'node:timers/promises';
import { figure, type Row } from '../../bench/harness/row.ts';
import { fanOut } from '../../bench/load/fan-out.ts';
import { closeSockets, openSockets, queue } from '../../bench/load/sockets.ts';
import { StudioProcess } from '../support/studio-process.ts';
import { fuzzFrames } from './frames.ts';
import { fuzzHttp } from './http.ts';
import { type Fuzzed, fuzzMessages } from './messages.ts';

type Memory = Awaited<ReturnType<StudioProcess['memory']>>;

const ROUNDS = 5;
/** The first rounds fill caches. */
const WARM_UP_ROUNDS = 1;
const CONNECTIONS = 40;
const CLEAR_EVERY_MS = 500;
const FINDINGS_SHOWN = 20;

/**
 * Sends `messages` WebSocket messages, 90 % in whole frames and the rest as damaged frames, and a tenth as many HTTP requests to one server. It must survive,
 * answer all, and hold no more memory at the end than after the second of five rounds. The queue is paused meanwhile; afterwards one job runs to its end.
 */
export async function fuzzServer(messages: number, seed: number): Promise<Row[]> {
  const studio = await StudioProcess.start();
  const { port } = studio;
  await queue(port, 'pause');
  const ended = new AbortController();
  const clearing = keepQueueOpen(port, ended.signal);
  const all: Fuzzed[] = [];
  const memories: Memory[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const roundSeed = seed + round * 1000;
    all.push(await fuzzMessages(port, Math.round((messages * 0.9) / ROUNDS), CONNECTIONS, roundSeed));
    all.push(await fuzzFrames(port, Math.round((messages * 0.1) / ROUNDS), roundSeed));
    all.push(await fuzzHttp(port, Math.round((messages * 0.1) / ROUNDS), roundSeed));
    memories.push(await studio.memory());
  }
  ended.abort();
  await clearing;
  await queue(port, 'clear');
  const [client] = await openSockets(port, 1, 'after');
  if (client === undefined) throw new Error('no socket was opened');
  await fanOut([client], 'still at work', 9, () => queue(port, 'resume'));
  closeSockets([client]);
  const { isRunning, output } = studio;
  await studio.dispose();
  if (/"level":(50|60)/.test(output)) console.error(output.slice(0, 4000));
  return report(seed, all, memories, { isRunning, serverErrors: output.split('"level":50').length - 1 });
}

/** The queue is full after 1,000 jobs; a server that refuses everything has little to go wrong. */
async function keepQueueOpen(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(CLEAR_EVERY_MS);
    // a request may have let it run
    await queue(port, 'pause');
    await queue(port, 'clear');
  }
}

function report(seed: number, all: Fuzzed[], memories: Memory[], server: { isRunning: boolean; serverErrors: number }): Row[] {
  const [messages, frames, http] = [0, 1, 2].map((kind) => all.filter((_, i) => i % 3 === kind));
  const sum = (of: Fuzzed[] | undefined, what: (fuzzed: Fuzzed) => number): number => (of ?? []).reduce((total, fuzzed) => total + what(fuzzed), 0);
  const findings = all.flatMap((fuzzed) => fuzzed.findings);
  for (const finding of findings.slice(0, FINDINGS_SHOWN)) console.error(`FOUND ${finding}`);
  for (const [what, of] of [
    ['messages', messages],
    ['frames', frames],
    ['http', http],
  ] as const)
    console.log(`  ${what}: ${counted(of ?? [])}`);
  console.log(`  resident after each round: ${memories.map(({ rss }) => megabytes(rss)).join(', ')} MB`);
  const growth = (what: (memory: Memory) => number): number => {
    const series = memories.map(what);
    return megabytes((series.at(-1) ?? 0) - (series[WARM_UP_ROUNDS] ?? 0));
  };
  return [
    figure(
      `messages sent with seed ${seed}, ${sum(messages, ({ valid }) => valid)} of them valid`,
      sum(messages, ({ sent }) => sent),
    ),
    figure(
      'damaged WebSocket frames sent',
      sum(frames, ({ sent }) => sent),
    ),
    figure(
      'HTTP requests sent',
      sum(http, ({ sent }) => sent),
    ),
    figure('not answered, answered wrongly, or answered with 5xx', findings.length, '', { most: 0 }),
    figure('errors in the log of the server', server.serverErrors, '', { most: 0 }),
    figure('server processes that ended', server.isRunning ? 0 : 1, '', { most: 0 }),
    figure(
      'growth of live memory after the second of five rounds',
      growth(({ heapUsed, external }) => heapUsed + external),
      'MB',
      { most: 16 },
    ),
    figure(
      'growth of resident memory after the second of five rounds',
      growth(({ rss }) => rss),
      'MB',
      { most: 64 },
    ),
  ];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}

/** `unknown_job 12, job_status 3`, the most frequent first. */
function counted(all: Fuzzed[]): string {
  const totals = new Map<string, number>();
  for (const { answers } of all) for (const [kind, count] of answers) totals.set(kind, (totals.get(kind) ?? 0) + count);
  return [...totals]
    .sort(([, a], [, b]) => b - a)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
}
