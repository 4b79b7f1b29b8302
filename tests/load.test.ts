import { afterAll, beforeAll, expect, test } from 'vitest';
import { fanOut } from '../bench/load/fan-out.ts';
import { floodDoors, MAX_BEFORE } from '../bench/load/slow-doors.ts';
import { floodSlowReaders } from '../bench/load/slow-readers.ts';
import { closeSockets, openSockets, queue } from '../bench/load/sockets.ts';
import { pendingIds, submit } from '../bench/load/submit.ts';
import { StudioProcess } from './support/studio-process.ts';

/** A short form of `npm run load`: the guarantees under load, without timings. */

let studio: StudioProcess;
beforeAll(async () => {
  studio = await StudioProcess.start({ engine: { stepMs: 0 } });
});
afterAll(() => studio.dispose());

test('a job that 50 clients request at once reports every step to each of them', async () => {
  await queue(studio.port, 'pause');
  const sockets = await openSockets(studio.port, 50, 'fan-out');
  const { messages } = await fanOut(sockets, 'one for all', 20, () => queue(studio.port, 'resume'));
  closeSockets(sockets);
  expect(messages).toBe(50 * 20);
});

test('clients that read nothing are dropped, and another client still gets answers', async () => {
  const { cut, answersMs } = await floodSlowReaders(studio, 3, 100);
  expect(cut).toBe(3);
  expect(answersMs.length).toBeGreaterThan(1);
  await queue(studio.port, 'clear');
});

test('100 door requests with slow readers are all answered, and a job of another client is made in its turn', async () => {
  const { whole, before } = await floodDoors(studio, 100, 256, 'slow');
  expect(whole).toBe(100);
  expect(before).toBeLessThanOrEqual(MAX_BEFORE);
});

test('every acknowledged submit survives SIGKILL, from one connection and from many', async () => {
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
