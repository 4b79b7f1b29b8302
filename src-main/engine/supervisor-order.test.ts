import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { DeviceName } from '#shared/domain/device.ts';
import { ScriptedProcess } from '../../tests/fakes/scripted-process.ts';
import { codeOf, listen, never } from '../../tests/support/engine-conformance.ts';
import { HandClock } from '../../tests/support/hand-clock.ts';
import { createEngine, type SupervisedEngine } from './create-engine.ts';
import type { GenerateTask, UpscaleTask } from './engine.ts';
import type { Precision } from './protocol.ts';
import type { EngineLimits } from './supervisor.ts';

/** The supervisor against a process whose every word the test chooses. */

const report = { stagesMs: { saving: 1 }, device: 'cpu', deviceReason: 'the only one', accuracy: 'fast', width: 256, height: 256, pixelsSha256: 'e3b0' };

function create(
  limits: Partial<EngineLimits> = {},
  device: DeviceName = 'cpu',
  gpuPrecision?: Precision,
): { engine: SupervisedEngine; lives: ScriptedProcess[]; clock: HandClock; warnings: string[] } {
  const clock = new HandClock();
  const warnings: string[] = [];
  const lives: ScriptedProcess[] = [];
  const engine = createEngine({
    spawn: () => {
      const life = new ScriptedProcess();
      lives.push(life);
      return life;
    },
    devices: [
      {
        device,
        ...(gpuPrecision === undefined ? {} : { gpuPrecision }),
        deviceReason: 'the only one',
        accuracy: 'fast',
        memory: 'auto',
        threads: 1,
        cacheDir: '/nowhere',
      },
    ],
    log: { info: () => {}, warn: (_, message) => warnings.push(message) },
    limits: { backoffMs: [0], ...limits },
    clock,
  });
  return { engine, lives, clock, warnings };
}

function task(): GenerateTask {
  const params = { prompt: 'a cat', width: 256, height: 256, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
  return { params, checkpointDir: '/c', checkpointIdentity: 'c', outputPath: '/a.png', provenance: null };
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
  expect(engine.status()).toMatchObject({ state: 'ready', residentBytes: 123, binding: null });
  life.say({ type: 'bound', inUse: { binding: 'node', reason: 'no koffi' } });
  expect(engine.status().binding).toEqual({ binding: 'node', reason: 'no koffi' });
  life.say({ type: 'model_done', id: 1 });
  life.say({ type: 'done', id: 1, report });
  expect(await running).toEqual({ ...report, setbacks: [] });
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
  const { engine, lives, clock } = create();
  const packed = engine.generate(task(), listen().hooks, never());
  const controller = new AbortController();
  const stubborn = engine.generate(task(), listen().hooks, controller.signal);
  const code = codeOf(stubborn);
  const life = at(lives, 0);
  life.say({ type: 'ready' });
  life.say({ type: 'model_done', id: 1 });
  controller.abort();
  expect(life.orders.at(-1)).toEqual({ type: 'cancel', id: 2 });
  clock.advance(2_000);
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
  const { engine, lives, clock } = create();
  const packed = engine.generate(task(), listen().hooks, never());
  const controller = new AbortController();
  const code = codeOf(engine.generate(task(), listen().hooks, controller.signal));
  const life = at(lives, 0);
  life.say({ type: 'ready' });
  life.say({ type: 'model_done', id: 1 });
  controller.abort();
  clock.advance(2_000);
  expect(await code).toBe('cancelled');
  life.say({ type: 'failed', id: 2, error: { code: 'cancelled', message: 'The task was cancelled.', data: {} } });
  life.say({ type: 'done', id: 1, report });
  await packed;
  expect(life.wasKilled).toBe(false);
  await engine.close();
});

test('a process that never gets ready hangs', async () => {
  const { engine, lives, clock } = create({ startTimeoutMs: 40, heartbeatTimeoutMs: 40, maxRestarts: 0 });
  const code = codeOf(engine.generate(task(), listen().hooks, never()));
  for (let tick = 0; tick < 4; tick++) clock.advance(10);
  expect(at(lives, 0).wasKilled).toBe(false);
  clock.advance(10);
  expect(await code).toBe('engine_unavailable');
  expect([at(lives, 0).wasKilled, engine.status().restarts]).toEqual([true, 1]);
});

test.each([
  ['sends no heartbeat', 'engine_hung', () => {}],
  ['says nothing of its task', 'engine_hung', (life: ScriptedProcess) => life.say({ type: 'heartbeat', residentBytes: 1 })],
])('a process that %s hangs: the task runs once more, then fails', async (_, expected, onTick) => {
  const { engine, lives, clock } = create({ heartbeatTimeoutMs: 40, taskTimeoutMs: 80 });
  const code = codeOf(engine.generate(task(), listen().hooks, never()));
  for (const index of [0, 1]) {
    const life = at(lives, index);
    life.say({ type: 'ready' });
    life.say({ type: 'progress', id: 1, stage: 'generating', done: 1, total: 4 });
    for (let tick = 0; tick < 9 && !life.wasKilled; tick++) {
      onTick(life);
      clock.advance(10);
    }
    expect(life.wasKilled).toBe(true);
    await nextTurn();
  }
  expect(await code).toBe(expected);
  await engine.close();
});

test('an idle process ends to free its memory, not before its task has ended, and the next task starts another', async () => {
  const { engine, lives, clock } = create();
  engine.unloadAfter(50);
  const first = engine.generate(task(), listen().hooks, never());
  at(lives, 0).say({ type: 'ready' });
  clock.advance(100);
  at(lives, 0).say({ type: 'model_done', id: 1 });
  clock.advance(100);
  expect(at(lives, 0).wasKilled).toBe(false);
  at(lives, 0).say({ type: 'done', id: 1, report });
  await first;
  clock.advance(49);
  expect(at(lives, 0).wasKilled).toBe(false);
  clock.advance(1);
  expect(at(lives, 0).wasKilled).toBe(true);
  await nextTurn();
  expect(engine.status()).toMatchObject({ state: 'stopped', restarts: 0 });
  engine.warm();
  engine.unloadAfter(null);
  at(lives, 1).say({ type: 'ready' });
  clock.advance(1000);
  expect(at(lives, 1).wasKilled).toBe(false);
  await engine.close();
});

describe('a finished image is never lost to the fault of a neighbour', () => {
  const shortage = { code: 'engine_out_of_memory', message: 'no room', data: {} };

  async function finishedAndNext(limits: Partial<EngineLimits> = {}) {
    const parts = create({ maxRestarts: 9, ...limits });
    const { engine, lives } = parts;
    const finished = engine.generate(task(), listen().hooks, never());
    const next = engine.generate(task(), listen().hooks, never());
    at(lives, 0).say({ type: 'ready' });
    at(lives, 0).say({ type: 'model_done', id: 1 });
    expect(at(lives, 0).taskIds()).toEqual([1, 2]);
    return { ...parts, finished, next, settled: Promise.allSettled([next]) };
  }

  test('that reports too little memory: the process is replaced after the image is written', async () => {
    const { engine, lives, finished, next, settled } = await finishedAndNext();
    at(lives, 0).say({ type: 'failed', id: 2, error: shortage });
    await nextTurn();
    expect(at(lives, 0).wasKilled).toBe(false);
    at(lives, 0).say({ type: 'done', id: 1, report });
    expect(await finished).toMatchObject({ setbacks: [] });
    await nextTurn();
    expect(at(lives, 0).wasKilled).toBe(true);
    at(lives, 1).say({ type: 'ready' });
    at(lives, 1).say({ type: 'failed', id: 2, error: shortage });
    await settled;
    await expect(next).rejects.toMatchObject({ code: 'engine_out_of_memory' });
    await engine.close();
  });

  test('also where the image takes too long: it is made again, and it is not the one that is blamed', async () => {
    const { engine, lives, clock, finished, settled } = await finishedAndNext({ finishGraceMs: 10 });
    at(lives, 0).say({ type: 'failed', id: 2, error: shortage });
    await nextTurn();
    clock.advance(10);
    await nextTurn();
    at(lives, 1).say({ type: 'ready' });
    at(lives, 1).say({ type: 'model_done', id: 1 });
    // nothing runs beside it this time
    expect(at(lives, 1).taskIds()).toEqual([1]);
    at(lives, 1).say({ type: 'done', id: 1, report });
    expect(await finished).toMatchObject({ width: 256 });
    expect(at(lives, 1).taskIds()).toEqual([1, 2]);
    await engine.close();
    await settled;
  });

  test('that takes the process down, twice: the image is made again, the neighbour fails', async () => {
    const { engine, lives, finished, next, settled } = await finishedAndNext();
    at(lives, 0).kill();
    await nextTurn();
    at(lives, 1).say({ type: 'ready' });
    at(lives, 1).say({ type: 'model_done', id: 1 });
    expect(at(lives, 1).taskIds()).toEqual([1]);
    at(lives, 1).say({ type: 'done', id: 1, report });
    await finished;
    await nextTurn();
    expect(at(lives, 1).taskIds()).toEqual([1, 2]);
    at(lives, 1).kill();
    await settled;
    await expect(next).rejects.toThrow('failed twice on this image');
    await engine.close();
  });

  test('and where the process rests after too many ends, the image waits for the next start', async () => {
    const { engine, lives, clock, finished, settled } = await finishedAndNext({ maxRestarts: 0, windowMs: 1000 });
    at(lives, 0).kill();
    await nextTurn();
    expect(lives).toHaveLength(1);
    clock.advance(1000);
    at(lives, 1).say({ type: 'ready' });
    at(lives, 1).say({ type: 'model_done', id: 1 });
    at(lives, 1).say({ type: 'done', id: 1, report });
    expect(await finished).toMatchObject({ width: 256 });
    await engine.close();
    await settled;
  });
});

test('a system without file descriptors is named, and no reason to give a GPU up', async () => {
  const error = Object.assign(new Error('spawn EMFILE'), { code: 'EMFILE' });
  const engine = createEngine({
    spawn: () => ({
      pid: undefined,
      send: () => {},
      onMessage: () => {},
      onOutput: () => {},
      onExit: (listener) => setImmediate(() => listener({ code: null, signal: null, error })),
      kill: () => {},
    }),
    devices: [{ device: 'cuda', deviceReason: 'a card', accuracy: 'fast', memory: 'auto', threads: 1, cacheDir: '/nowhere' }],
    log: { info: () => {}, warn: () => {} },
    limits: { backoffMs: [0] },
  });
  const running = engine.generate(task(), listen().hooks, never());
  await expect(running).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('no file descriptors left (EMFILE') });
  expect(engine.status().device).toBe('cuda');
  await engine.close();
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

test('not enough memory: the task runs again by the next plan, once and with the reason, and so do those after it', async () => {
  const { engine, lives } = create();
  const running = [engine.generate(task(), listen().hooks, never()), engine.generate(task(), listen().hooks, never())];
  const settled = Promise.allSettled(running);
  const memoryOf = (life: ScriptedProcess) => life.orders.flatMap((order) => (order.type === 'generate' ? [order.memory] : []));
  const shortage = { type: 'failed', id: 1, error: { code: 'engine_out_of_memory', message: 'no room', data: {} } };
  const planned = { plan: 'resident', needBytes: 7e9, freeBytes: 8e9 };
  at(lives, 0).say({ type: 'ready' });
  expect([memoryOf(at(lives, 0)), engine.status().memory]).toEqual([['auto'], { choice: 'auto', steppedDown: false, planned: null }]);
  at(lives, 0).say({ type: 'planned', id: 1, decision: { ...planned, next: 'text_freed' } });
  expect(engine.status().memory).toEqual({ choice: 'auto', steppedDown: false, planned });
  at(lives, 0).say(shortage);
  await nextTurn();
  at(lives, 1).say({ type: 'ready' });
  at(lives, 1).say({ type: 'model_done', id: 1 });
  at(lives, 1).say({ type: 'done', id: 1, report });
  expect([memoryOf(at(lives, 1)), engine.status().memory]).toMatchObject([['text_freed', 'text_freed'], { choice: 'text_freed', steppedDown: true }]);
  await engine.close();
  expect(await settled).toMatchObject([
    { status: 'fulfilled', value: { setbacks: [expect.stringContaining('by the plan text_freed')] } },
    { status: 'rejected', reason: { code: 'shutting_down' } },
  ]);
});

test('not enough memory under the plan that needs least: the task fails the second time, and the next begins by that plan', async () => {
  const { engine, lives } = create();
  const code = codeOf(engine.generate(task(), listen().hooks, never()));
  for (const index of [0, 1]) {
    at(lives, index).say({ type: 'ready' });
    at(lives, index).say({ type: 'planned', id: 1, decision: { plan: 'in_turn', needBytes: 5e9, freeBytes: 4e9, next: null } });
    at(lives, index).say({ type: 'failed', id: 1, error: { code: 'engine_out_of_memory', message: 'no room', data: {} } });
    await nextTurn();
  }
  expect(await code).toBe('engine_out_of_memory');
  expect(engine.status().memory).toMatchObject({ choice: 'auto', steppedDown: false });
  await engine.close();
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

describe('a GPU that fails before its first picture is given up for the CPU, once and with the reason', () => {
  const failed = (id: number) => ({ type: 'failed', id, error: { code: 'engine_failed', message: 'no kernel image is available', data: {} } });
  const startOf = (life: ScriptedProcess) => life.orders.find((order) => order.type === 'start')?.config;

  test('when its session or its first run fails', async () => {
    const { engine, lives } = create({}, 'cuda:1');
    const running = engine.generate(task(), listen().hooks, never());
    at(lives, 0).say({ type: 'ready' });
    expect(startOf(at(lives, 0))).toMatchObject({ device: 'cuda:1', deviceReason: 'the only one' });
    at(lives, 0).say(failed(1));
    await nextTurn();
    const deviceReason = expect.stringMatching(/cuda:1 was given up for the CPU: no kernel image/);
    expect(startOf(at(lives, 1))).toMatchObject({ device: 'cpu', deviceReason });
    expect(engine.status()).toMatchObject({ device: 'cpu', deviceReason, restarts: 0 });
    at(lives, 1).say({ type: 'ready' });
    expect(at(lives, 1).taskIds()).toEqual([1]);
    at(lives, 1).say({ type: 'done', id: 1, report });
    expect(await running).toEqual({ ...report, setbacks: [deviceReason] });
    const again = engine.generate(task(), listen().hooks, never());
    at(lives, 1).say({ type: 'model_done', id: 1 });
    at(lives, 1).say(failed(2));
    expect(await codeOf(again)).toBe('engine_failed');
    await engine.close();
  });

  test('after each safer precision was tried', async () => {
    const { engine, lives } = create({}, 'cuda', 'bf16');
    const running = engine.generate(task(), listen().hooks, never());
    for (const [life, gpuPrecision] of [
      [0, 'bf16'],
      [1, 'fp16'],
      [2, 'fp32'],
    ] as const) {
      expect(startOf(at(lives, life))).toMatchObject({ device: 'cuda', gpuPrecision });
      at(lives, life).say({ type: 'ready' });
      at(lives, life).say(failed(1));
      await nextTurn();
    }
    expect(startOf(at(lives, 3))).toMatchObject({ device: 'cpu' });
    at(lives, 3).say({ type: 'ready' });
    at(lives, 3).say({ type: 'done', id: 1, report });
    const { setbacks } = await running;
    expect(setbacks).toEqual([
      'cuda failed in bf16 and computes in fp16 from now on: no kernel image is available',
      'cuda failed in fp16 and computes in fp32 from now on: no kernel image is available',
      'cuda was given up for the CPU: no kernel image is available',
    ]);
    await engine.close();
  });

  test('when it takes its process down, or all its memory in the leanest plan', async () => {
    const crashing = create({}, 'webgpu');
    crashing.engine.warm();
    at(crashing.lives, 0).kill();
    await nextTurn();
    expect(crashing.engine.status().device).toBe('cpu');
    await crashing.engine.close();

    const { engine, lives } = create({}, 'cuda');
    void codeOf(engine.generate(task(), listen().hooks, never()));
    const runOut = async (life: ScriptedProcess) => {
      life.say({ type: 'ready' });
      life.say({ type: 'failed', id: 1, error: { code: 'engine_out_of_memory', message: 'CUBLAS_STATUS_ALLOC_FAILED', data: {} } });
      await nextTurn();
    };
    await runOut(at(lives, 0));
    expect(engine.status()).toMatchObject({ device: 'cuda', memory: { choice: 'in_turn', steppedDown: true } });
    await runOut(at(lives, 1));
    expect(engine.status()).toMatchObject({ device: 'cpu', memory: { choice: 'in_turn' } });
    await engine.close();
  });

  test('not after it: then the task fails', async () => {
    const { engine, lives } = create({}, 'cuda');
    const first = engine.generate(task(), listen().hooks, never());
    at(lives, 0).say({ type: 'ready' });
    at(lives, 0).say({ type: 'model_done', id: 1 });
    at(lives, 0).say({ type: 'done', id: 1, report });
    await first;
    const second = engine.generate(task(), listen().hooks, never());
    at(lives, 0).say(failed(2));
    expect(await codeOf(second)).toBe('engine_failed');
    expect(engine.status().device).toBe('cuda');
    await engine.close();
  });
});

describe('an upscaler that fails on a GPU after a good picture runs on the CPU, once and with the reason, and the checkpoint stays where it is', () => {
  const upscaleTask: UpscaleTask = { inputPath: '/a.png', upscalerPath: '/u', upscalerIdentity: 'u', outputPath: '/b.png', provenance: null };
  const upscaled = { ...report, device: 'cpu' as const };
  const upscaleOf = (life: ScriptedProcess) => life.orders.find((order) => order.type === 'upscale');

  test.each<[string, (life: ScriptedProcess) => void]>([
    ['an operator', (life) => life.say({ type: 'failed', id: 2, error: { code: 'engine_failed', message: 'CUDNN_STATUS_NOT_SUPPORTED', data: {} } })],
    ['memory', (life) => life.say({ type: 'failed', id: 2, error: { code: 'engine_out_of_memory', message: 'CUBLAS_STATUS_ALLOC_FAILED', data: {} } })],
    ['the process', (life) => life.kill()],
  ])('for want of %s', async (_, fail) => {
    const { engine, lives } = create({}, 'cuda:1');
    const picture = engine.generate(task(), listen().hooks, never());
    at(lives, 0).say({ type: 'ready' });
    at(lives, 0).say({ type: 'model_done', id: 1 });
    at(lives, 0).say({ type: 'done', id: 1, report });
    await picture;
    const enlarged = engine.upscale(upscaleTask, listen().hooks, never());
    expect(upscaleOf(at(lives, 0))).toMatchObject({ onCpu: false });
    fail(at(lives, 0));
    await nextTurn();
    at(lives, 1).say({ type: 'ready' });
    expect(upscaleOf(at(lives, 1))).toMatchObject({ id: 2, onCpu: true });
    at(lives, 1).say({ type: 'model_done', id: 2 });
    at(lives, 1).say({ type: 'done', id: 2, report: upscaled });
    expect(await enlarged).toEqual({ ...upscaled, setbacks: [expect.stringMatching(/^The upscaler failed on cuda:1 and runs on the CPU from now on: /)] });
    expect(engine.status()).toMatchObject({ device: 'cuda:1' });
    const next = engine.upscale(upscaleTask, listen().hooks, never());
    expect(at(lives, 1).orders.at(-1)).toMatchObject({ type: 'upscale', id: 3, onCpu: true });
    at(lives, 1).say({ type: 'failed', id: 3, error: { code: 'engine_failed', message: 'no', data: {} } });
    expect(await codeOf(next)).toBe('engine_failed');
    await engine.close();
  });
});
