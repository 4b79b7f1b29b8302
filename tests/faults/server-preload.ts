import childProcess, { type ChildProcess, type ForkOptions } from 'node:child_process';
import type fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { Server } from 'node:net';
import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { WebSocket } from 'ws';
import { JobRepository } from '#main/jobs/store/job-repository.ts';
import { armTripwire, KILL_ORDER_VARIABLE, killNow, serverPoints } from './kill-order.ts';

/**
 * Loaded by `node --import` before `src-main/headless.ts`: the product's own process, with the fake engine and a tripwire around
 * the system calls, commits and messages of a job. The product's code does not know about it.
 */

const engines: ChildProcess[] = [];
const reach = armTripwire((victims) => {
  if (victims === 'both') for (const { pid } of engines) if (pid !== undefined) killNow(pid);
  killNow(process.pid);
});
const isServerPoint = (point: string): point is (typeof serverPoints)[number] => serverPoints.some((known) => known === point);
let isStarting = true;

const { fork } = childProcess;
Object.assign(childProcess, {
  fork(_entry: string, options: ForkOptions): ChildProcess {
    const env = { ...options.env };
    // the order is for one process: its replacement must survive
    if (engines.length > 0) delete env[KILL_ORDER_VARIABLE];
    const engine = fork(resolve(import.meta.dirname, 'engine-process.ts'), { ...options, env });
    engines.push(engine);
    return engine;
  },
});

/** What the current transaction does, in the names of the points. */
const works = new Set<string>();

const { insert, requestAgain, setState, moveToBin, restore } = JobRepository.prototype;
Object.assign(JobRepository.prototype, {
  insert(this: JobRepository, ...args: Parameters<typeof insert>) {
    works.add('accepted');
    return insert.apply(this, args);
  },
  requestAgain(this: JobRepository, ...args: Parameters<typeof requestAgain>) {
    works.add('requested-again');
    return requestAgain.apply(this, args);
  },
  setState(this: JobRepository, ...args: Parameters<typeof setState>) {
    works.add(args[1].status);
    return setState.apply(this, args);
  },
  moveToBin(this: JobRepository, ...args: Parameters<typeof moveToBin>) {
    works.add('binned');
    return moveToBin.apply(this, args);
  },
  restore(this: JobRepository, ...args: Parameters<typeof restore>) {
    works.add('restored');
    return restore.apply(this, args);
  },
});

const { exec, close } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (sql) {
  if (sql === 'BEGIN IMMEDIATE') works.clear();
  if (sql !== 'COMMIT') return exec.call(this, sql);
  const told = [...works];
  reachCommit(told, 'before-commit');
  exec.call(this, sql);
  reachCommit(told, 'after-commit');
};
DatabaseSync.prototype.close = function () {
  reach('park:before-close');
  close.call(this);
};

function reachCommit(told: readonly string[], when: 'before-commit' | 'after-commit'): void {
  if (isStarting) reach(`start:${when}`);
  for (const point of told.map((work) => `${work}:${when}`)) if (!isStarting && isServerPoint(point)) reach(point);
}

const { rename, rm } = fsPromises;
let binMoves = 0;
Object.assign(fsPromises, {
  async rename(from: string, to: string): Promise<void> {
    const role = /-(original|upscaled)-[0-9a-f]{16}\.part$/.exec(from)?.[1];
    const work = role === 'original' ? 'original' : 'upscaled';
    if (role !== undefined) reach(`${work}:before-rename`);
    await rename(from, to);
    if (role !== undefined) reach(`${work}:after-rename`);
    // two files a job: the first has gone, the second not yet
    if (to.includes('.bin') && ++binMoves % 2 === 1) reach('bin:between-moves');
  },
  async rm(path: string, options: fs.RmOptions): Promise<void> {
    await rm(path, options);
    if (isStarting && path.endsWith('.part')) reach('start:temporary-removed');
  },
});

const { send } = WebSocket.prototype;
Object.assign(WebSocket.prototype, {
  send(this: WebSocket, data: string): void {
    Reflect.apply(send, this, [data]);
    reach('answer:sent');
  },
});

const { listen } = Server.prototype;
Object.assign(Server.prototype, {
  listen(this: Server, ...args: Parameters<Server['listen']>): Server {
    reach('start:before-listen');
    this.once('listening', () => {
      isStarting = false;
    });
    return listen.apply(this, args);
  },
});

syncBuiltinESMExports();
