import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { programDir } from '#main/lib/program-files.ts';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { fanOut, rate } from './fan-out.ts';
import { closeSockets, openSockets, queue } from './sockets.ts';
import { submit } from './submit.ts';

const ROUNDS = 3;
const JOBS = 1000;
const SOCKETS = 500;
const STEPS = 50;
const PEERS_DIR = join(programDir, 'bench/peers');

interface Rates {
  submits: number[];
  messages: number[];
}

/** Ours beside FastAPI servers with the same clients, in turns: ours, dict, SQLite, SQLite, dict, ours. */
export async function measurePeers(): Promise<Row[]> {
  execFileSync('bash', [join(PEERS_DIR, 'setup.sh'), 'fastapi'], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ours = await StudioProcess.start({ engine: { stepMs: 0 } });
  const dict = await startFastApi('memory');
  const sqlite = await startFastApi('sqlite');
  const servers = [
    { port: ours.port, rates: emptyRates() },
    { port: dict.port, rates: emptyRates() },
    { port: sqlite.port, rates: emptyRates() },
  ] as const;
  for (let round = 0; round < ROUNDS; round++) {
    for (const [turn, { port, rates }] of [...servers, ...servers.toReversed()].entries()) {
      rates.submits.push(await submitRate(port, `submit ${round} ${turn}`));
      rates.messages.push(await fanOutRate(port, `fan-out ${round} ${turn}`));
    }
  }
  await Promise.all([ours.dispose(), dict.end(), sqlite.end()]);
  const [own, inDict, inSqlite] = servers.map(({ rates }) => ({ submits: Math.round(median(rates.submits)), messages: Math.round(median(rates.messages)) }));
  if (own === undefined || inDict === undefined || inSqlite === undefined) throw new Error('three servers were measured');
  const ratio = (a: number, b: number): number => Math.round((a / b) * 100) / 100;
  return [
    figure('submits, ours: SQLite, synchronous FULL', own.submits, '/s'),
    figure('submits, FastAPI: SQLite, synchronous FULL', inSqlite.submits, '/s'),
    figure('submits, FastAPI: in a dict, nothing on the disk', inDict.submits, '/s'),
    figure('submits, ours to FastAPI with the same durability', ratio(own.submits, inSqlite.submits), '×'),
    figure('submits, ours to FastAPI with a dict', ratio(own.submits, inDict.submits), '×'),
    figure(`messages to ${SOCKETS} sockets, ours`, own.messages, '/s'),
    figure(`messages to ${SOCKETS} sockets, FastAPI`, inDict.messages, '/s'),
    figure(`messages to ${SOCKETS} sockets, ours to FastAPI`, ratio(own.messages, inDict.messages), '×'),
  ];
}

function emptyRates(): Rates {
  return { submits: [], messages: [] };
}

async function submitRate(port: number, name: string): Promise<number> {
  await queue(port, 'pause');
  const sockets = await openSockets(port, 50, 'submit');
  const { ms } = await submit(sockets, JOBS, 20, name);
  closeSockets(sockets);
  await queue(port, 'clear');
  return (JOBS / ms) * 1000;
}

async function fanOutRate(port: number, name: string): Promise<number> {
  const sockets = await openSockets(port, SOCKETS, 'fan-out');
  const fannedOut = await fanOut(sockets, name, STEPS, () => queue(port, 'resume'));
  closeSockets(sockets);
  return rate(fannedOut);
}

async function startFastApi(storage: 'memory' | 'sqlite'): Promise<{ port: number; end(): Promise<void> }> {
  const port = await freePort();
  const child = spawn(join(PEERS_DIR, '.venv/fastapi/bin/python'), [join(PEERS_DIR, 'fastapi/server.py'), String(port), storage], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const gone = once(child, 'exit');
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error('the FastAPI peer ended before it served');
    await sleep(100);
  }
  return {
    port,
    end: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/api/health`)).ok;
  } catch {
    // not listening yet
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new Error('a listening server has an address');
  return address.port;
}
