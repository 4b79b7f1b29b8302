import { afterAll, beforeAll, expect, test } from 'vitest';
import { fanOut } from '../bench/load/fan-out.ts';
import { floodSlowReaders } from '../bench/load/slow-readers.ts';
import { closeSockets, openSockets, queue } from '../bench/load/sockets.ts';
import { pendingIds, submit } from '../bench/load/submit.ts';
import { StudioProcess } from './support/studio-process.ts';

/** The short form of `npm run load`: what must hold under load, without its times. */

let studio: StudioProcess;
beforeAll(async () => {
  studio = await StudioProcess.start({ engine: { stepMs: 0 } });
});
afterAll(() => studio.dispose());

test('a job that 50 clients ask for at once tells each of them every step', async () => {
  await queue(studio.port, 'pause');
  const sockets = await openSockets(studio.port, 50, 'fan-out');
  const { messages } = await fanOut(sockets, 'one for all', 20, () => queue(studio.port, 'resume'));
  closeSockets(sockets);
  expect(messages).toBe(50 * 20);
});

test('readers that read nothing are cut, and the one beside them is answered on', async () => {
  const { cut, answersMs } = await floodSlowReaders(studio, 3, 100);
  expect(cut).toBe(3);
  expect(answersMs.length).toBeGreaterThan(1);
  await queue(studio.port, 'clear');
});

test('every submit that was acknowledged is there after SIGKILL, from one connection and from many', async () => {
  await queue(studio.port, 'pause');
  const sockets = await openSockets(studio.port, 10, 'submit');
  const many = await submit(sockets, 100, 10, 'many');
  const one = await submit(sockets.slice(0, 1), 100, 100, 'one');
  await studio.end('SIGKILL');
  studio = await StudioProcess.start({ dataDir: studio.dataDir });
  const there = await pendingIds(studio.port);
  const acknowledged = [...many.jobIds, ...one.jobIds];
  expect(new Set(acknowledged).size).toBe(200);
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
});
