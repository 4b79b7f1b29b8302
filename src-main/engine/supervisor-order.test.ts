import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { ScriptedProcess } from '../../tests/fakes/scripted-process.ts';
import { codeOf, listen, never } from '../../tests/support/engine-conformance.ts';
import type { GenerateTask } from './engine.ts';
import { createEngine, type EngineLimits, type SupervisedEngine } from './supervisor.ts';

/** The supervisor against a process whose every word the test chooses. */

const report = { stagesMs: { saving: 1 }, device: 'cpu', deviceReason: 'the only one', accuracy: 'fast', width: 256, height: 256 };

function create(limits: Partial<EngineLimits> = {}): { engine: SupervisedEngine; lives: ScriptedProcess[] } {
  const lives: ScriptedProcess[] = [];
  const engine = createEngine({
    spawn: () => {
      const life = new ScriptedProcess();
      lives.push(life);
      return life;
    },
    config: { device: 'cpu', deviceReason: 'the only one', accuracy: 'fast', memory: 'resident', threads: 1, cacheDir: '/nowhere' },
    log: { info: () => {}, warn: () => {} },
    limits: { backoffMs: [0], ...limits },
  });
  return { engine, lives };
}

function task(): GenerateTask {
  const params = { prompt: 'a cat', width: 256, height: 256, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
  return { params, checkpointDir: '/c', checkpointIdentity: 'c', outputPath: '/a.png', texts: [] };
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`nothing at ${index} of ${list.length}`);
  return item;
}

test('the process is told its settings first, and no task before it is ready', async () => {
  const { engine, lives } = create();
  const running = engine.generate(task(), listen().hooks, never());
  const life = at(lives, 0);
  expect(life.orders.map(({ type }) => type)).toEqual(['start']);
  expect(engine.status().state).toBe('starting');
  life.say({ type: 'ready' });
  expect(life.orders.map(({ type }) => type)).toEqual(['start', 'generate']);
  life.say({ type: 'heartbeat', residentBytes: 123 });
  expect(engine.status()).toMatchObject({ state: 'ready', residentBytes: 123 });
  life.say({ type: 'model_done', id: 1 });
  life.say({ type: 'done', id: 1, report });
  expect(await running).toEqual(report);
  await engine.close();
});

test('warm starts one process, once', async () => {
  const { engine, lives } = create();
  engine.warm();
  engine.warm();
  expect(lives).toHaveLength(1);
  await engine.close();
  engine.warm();
  expect(lives).toHaveLength(1);
});

test('the next task has the device while the one before is packed', async () => {
  const { engine, lives } = create();
  const first = engine.generate(task(), listen().hooks, never());
  const second = engine.generate(task(), listen().hooks, never());
  const life = at(lives, 0);
  life.say({ type: 'ready' });
  expect(life.taskIds()).toEqual([1]);
  life.say({ type: 'model_done', id: 1 });
  expect(life.taskIds()).toEqual([1, 2]);
  life.say({ type: 'model_done', id: 2 });
  life.say({ type: 'done', id: 2, report });
  await second;
  life.say({ type: 'done', id: 1, report });
  await first;
  await engine.close();
});

test('a task that ignores its cancel costs the one that is being packed nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { engine, lives } = create();
  const packed = engine.generate(task(), listen().hooks, never());
  const controller = new AbortController();
  const stubborn = engine.generate(task(), listen().hooks, controller.signal);
  const code = codeOf(stubborn);
  const life = at(lives, 0);
  life.say({ type: 'ready' });
  life.say({ type: 'model_done', id: 1 });
  controller.abort();
  expect(life.orders.at(-1)).toEqual({ type: 'cancel', id: 2 });
  vi.runAllTimers();
  vi.useRealTimers();
  expect(await code).toBe('cancelled');
  expect(life.wasKilled).toBe(false);
  const next = codeOf(engine.generate(task(), listen().hooks, never()));
  expect(life.taskIds()).toEqual([1, 2]);
  life.say({ type: 'done', id: 1, report });
  await packed;
  expect(life.wasKilled).toBe(true);
  await nextTurn();
  at(lives, 1).say({ type: 'ready' });
  expect(at(lives, 1).taskIds()).toEqual([3]);
  await engine.close();
  expect(await next).toBe('shutting_down');
});

test('a task that obeys late, after it was given up, leaves the process in use', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { engine, lives } = create();
  const packed = engine.generate(task(), listen().hooks, never());
  const controller = new AbortController();
  const code = codeOf(engine.generate(task(), listen().hooks, controller.signal));
  const life = at(lives, 0);
  life.say({ type: 'ready' });
  life.say({ type: 'model_done', id: 1 });
  controller.abort();
  vi.runAllTimers();
  vi.useRealTimers();
  expect(await code).toBe('cancelled');
  life.say({ type: 'failed', id: 2, error: { code: 'cancelled', message: 'The task was cancelled.', data: {} } });
  life.say({ type: 'done', id: 1, report });
  await packed;
  expect(life.wasKilled).toBe(false);
  await engine.close();
});

test('a process that never gets ready hangs', async () => {
  const { engine, lives } = create({ startTimeoutMs: 40, heartbeatTimeoutMs: 40, maxRestarts: 0 });
  expect(await codeOf(engine.generate(task(), listen().hooks, never()))).toBe('engine_unavailable');
  expect([at(lives, 0).wasKilled, engine.status().restarts]).toEqual([true, 1]);
});

test.for([
  'nonsense',
  { type: 'unheard of' },
  { type: 'progress', id: 1, stage: 'generating', done: 'one', total: 4 },
  { type: 'failed', id: 1, error: { code: 'latents_not_finite', message: 'without its step', data: {} } },
])('%j is not believed: the process is ended', async (message) => {
  const { engine, lives } = create();
  const code = codeOf(engine.generate(task(), listen().hooks, never()));
  const life = at(lives, 0);
  life.say({ type: 'ready' });
  life.say(message);
  expect(life.wasKilled).toBe(true);
  await engine.close();
  expect(await code).toBe('shutting_down');
});

test('not enough memory: the task runs again with one graph at a time, and so do those after it', async () => {
  const { engine, lives } = create();
  const running = [engine.generate(task(), listen().hooks, never()), engine.generate(task(), listen().hooks, never())];
  const settled = Promise.allSettled(running);
  const memoryOf = (life: ScriptedProcess) => life.orders.flatMap((order) => (order.type === 'generate' ? [order.memory] : []));
  at(lives, 0).say({ type: 'ready' });
  expect([memoryOf(at(lives, 0)), engine.status().memory]).toEqual([['resident'], 'resident']);
  at(lives, 0).say({ type: 'failed', id: 1, error: { code: 'engine_out_of_memory', message: 'no room', data: {} } });
  await nextTurn();
  at(lives, 1).say({ type: 'ready' });
  at(lives, 1).say({ type: 'model_done', id: 1 });
  at(lives, 1).say({ type: 'done', id: 1, report });
  expect([memoryOf(at(lives, 1)), engine.status().memory]).toEqual([['in_turn', 'in_turn'], 'in_turn']);
  await engine.close();
  expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});

test('a process that reports its own end is ended, and its reason kept', async () => {
  const { engine, lives } = create({ maxRestarts: 1 });
  const running = engine.generate(task(), listen().hooks, never());
  const code = codeOf(running);
  for (const index of [0, 1]) {
    at(lives, index).say({ type: 'ready' });
    at(lives, index).say({ type: 'fatal', error: { code: 'engine_out_of_memory', message: 'the heap is full', data: {} } });
    await nextTurn();
  }
  expect(await code).toBe('engine_out_of_memory');
  await expect(running).rejects.toThrow('the heap is full');
  await engine.close();
});
