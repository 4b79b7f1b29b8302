import { expect, test } from 'vitest';
import { ModelLock, type ModelTurn } from './model-lock.ts';

function room(places = () => 1) {
  const lock = new ModelLock(places);
  const log: string[] = [];
  const releases = new Map<string, () => void>();
  const ask = (name: string, turn: ModelTurn, controller = new AbortController()) => {
    lock.acquire(turn, controller.signal).then(
      (release) => {
        log.push(name);
        releases.set(name, release);
      },
      (error: { code: string }) => log.push(`${name} ${error.code}`),
    );
    return controller;
  };
  const release = async (name: string) => {
    await new Promise(setImmediate);
    releases.get(name)?.();
    await new Promise(setImmediate);
  };
  return { ask, release, log };
}

test('a job under way comes before one that begins; each kind in its order', async () => {
  const { ask, release, log } = room();
  ask('begin 1', 'begin');
  ask('begin 2', 'begin');
  ask('upscale 1', 'carry_on');
  ask('begin 3', 'begin');
  ask('upscale 2', 'carry_on');
  for (const name of ['begin 1', 'upscale 1', 'upscale 2', 'begin 2', 'begin 3']) await release(name);
  expect(log).toEqual(['begin 1', 'upscale 1', 'upscale 2', 'begin 2', 'begin 3']);
});

test('one that gives up while waiting leaves the line', async () => {
  const { ask, release, log } = room();
  ask('a', 'begin');
  const b = ask('b', 'begin');
  ask('c', 'begin');
  b.abort();
  await release('a');
  expect(log).toEqual(['a', 'b cancelled', 'c']);
});

test('releasing twice lets only one in', async () => {
  const { ask, release, log } = room();
  for (const name of ['a', 'b', 'c']) ask(name, 'begin');
  await release('a');
  await release('a');
  expect(log).toEqual(['a', 'b']);
});

test('whoever has given up before asking is refused', async () => {
  const { ask, release, log } = room();
  const gone = new AbortController();
  gone.abort();
  ask('a', 'begin', gone);
  ask('b', 'begin');
  await release('');
  expect(log.sort()).toEqual(['a cancelled', 'b']);
});

test('as many at a time as there are places, also after one has gone', async () => {
  let places = 2;
  const { ask, release, log } = room(() => places);
  for (const name of ['a', 'b', 'c', 'd']) ask(name, 'begin');
  await release('a');
  expect(log).toEqual(['a', 'b', 'c']);
  places = 1;
  await release('b');
  expect(log).toEqual(['a', 'b', 'c']);
  await release('c');
  expect(log).toEqual(['a', 'b', 'c', 'd']);
});
