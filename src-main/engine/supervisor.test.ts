import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeEngineOptions, spawnFakeEngine } from '../../tests/fakes/fake-engine.ts';
import { codeOf, describeEngine, isAlive, listen, never } from '../../tests/support/engine-conformance.ts';
import { HandClock } from '../../tests/support/hand-clock.ts';
import { createEngine, type EngineOptions, type SupervisedEngine } from './create-engine.ts';
import type { EngineConfig } from './device-state.ts';
import type { GenerateTask } from './engine.ts';

const config: EngineConfig = { device: 'cpu', deviceReason: 'the only one', accuracy: 'fast', memory: 'resident', threads: 1, cacheDir: '/nowhere' };
const log = { info: () => {}, warn: () => {} };
const model = { checkpointDir: '/fake', checkpointIdentity: 'fake', upscalerPath: '/fake.safetensors', upscalerIdentity: 'fake' };

describeEngine('the engine over the fake process', {
  create: (options) => createEngine({ spawn: spawnFakeEngine({ stepMs: 20 }), devices: [config], log, ...options }),
  ...model,
});

let folder = '';
const engines: SupervisedEngine[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  rmSync(folder, { recursive: true });
});

function create(fake: FakeEngineOptions, options: Pick<EngineOptions, 'limits' | 'clock'> = {}): SupervisedEngine {
  const engine = createEngine({ spawn: spawnFakeEngine(fake), devices: [config], log, ...options });
  engines.push(engine);
  return engine;
}

function task(name = 'a.png', identity = 'fake'): GenerateTask {
  const params = { prompt: 'a cat', width: 256, height: 256, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
  return { params, checkpointDir: '/fake', checkpointIdentity: identity, outputPath: join(folder, name), provenance: null };
}

test.for([
  ['crash@2', 'engine_crashed'],
  ['crash@loading', 'engine_crashed'],
  ['crash@saving', 'engine_crashed'],
  ['garbage@2', 'engine_crashed'],
  ['oom@2', 'engine_out_of_memory'],
] as const)('%s once is healed, twice is %s', async ([fault, code]) => {
  const engine = create({ faults: [fault, null, fault, fault] });
  const { heard, hooks } = listen();
  await engine.generate(task(), hooks, never());
  expect(heard.modelDone).toHaveLength(1);
  expect(engine.status().restarts).toBe(1);
  expect(await codeOf(engine.generate(task(), listen().hooks, never()))).toBe(code);
  expect(engine.status().restarts).toBe(3);
});

test('a process that keeps dying is left alone until the window has passed', async () => {
  const clock = new HandClock();
  const engine = create({ faults: ['crash@1', 'crash@1', 'crash@1', 'crash@1'] }, { clock, limits: { backoffMs: [0] } });
  const capacity: boolean[] = [];
  engine.onCapacity(() => capacity.push(engine.hasCapacity()));
  expect(await codeOf(engine.generate(task(), listen().hooks, never()))).toBe('engine_crashed');
  expect(await codeOf(engine.generate(task(), listen().hooks, never()))).toBe('engine_crashed');
  expect([engine.status(), engine.hasCapacity()]).toMatchObject([{ state: 'unavailable', restarts: 4 }, false]);
  await expect(engine.generate(task(), listen().hooks, never())).rejects.toThrow('The last time it ended with exit code 1.');
  clock.advance(5 * 60_000 - 1);
  expect(await codeOf(engine.generate(task(), listen().hooks, never()))).toBe('engine_unavailable');
  capacity.length = 0;
  clock.advance(1);
  expect(capacity).toEqual([true]);
  await engine.generate(task(), listen().hooks, never());
  expect(engine.status().state).toBe('ready');
});

test('latents that are not finite: once more in float32, then rejected', async () => {
  const healed = create({ faults: ['nan@2'] });
  const report = await healed.generate(task(), listen().hooks, never());
  expect(report.accuracy).toBe('exact');
  expect(healed.status().restarts).toBe(0);

  const hopeless = create({ always: 'nan@2' });
  expect(await codeOf(hopeless.generate(task(), listen().hooks, never()))).toBe('latents_not_finite');
  expect(hopeless.status().restarts).toBe(0);
});

test('a cancelled task that does not stop: rejected, the process exchanged, no crash counted', async () => {
  const clock = new HandClock();
  const engine = create({ faults: ['stall@2'] }, { clock });
  engine.warm();
  const controller = new AbortController();
  let pid: number | null = null;
  const { hooks } = listen(({ stage }) => {
    if (stage !== 'generating') return;
    pid = engine.pid();
    controller.abort();
    clock.advance(2_000);
  });
  expect(await codeOf(engine.generate(task(), hooks, controller.signal))).toBe('cancelled');
  await engine.generate(task(), listen().hooks, never());
  expect(engine.pid()).not.toBe(pid);
  expect(pid !== null && isAlive(pid)).toBe(false);
  expect(engine.status().restarts).toBe(0);
});

test('another checkpoint gets another process, the same one does not', async () => {
  const engine = create({});
  await engine.generate(task(), listen().hooks, never());
  const first = engine.pid();
  await engine.generate(task(), listen().hooks, never());
  expect(engine.pid()).toBe(first);
  // the one before it is still being packed when it comes
  await Promise.all([engine.generate(task(), listen().hooks, never()), engine.generate(task('b.png', 'other'), listen().hooks, never())]);
  expect(engine.pid()).not.toBe(first);
  expect(engine.status().restarts).toBe(0);
});

test('a process that cannot be started is a crash', async () => {
  const broken = createEngine({
    spawn: () => ({
      pid: undefined,
      send: () => {},
      onMessage: () => {},
      onOutput: () => {},
      onExit: (listener) => setImmediate(() => listener({ code: null, signal: null, error: new Error('ENOENT') })),
      kill: () => {},
    }),
    devices: [config],
    log,
    limits: { backoffMs: [0] },
  });
  engines.push(broken);
  expect(await codeOf(broken.generate(task(), listen().hooks, never()))).toBe('engine_unavailable');
  expect(broken.status()).toMatchObject({ state: 'unavailable', restarts: 4 });
});

test.skipIf(process.platform === 'win32')('the process dies with its parent, also when that one is killed', async () => {
  const parent = spawn(process.execPath, [resolve(import.meta.dirname, '../../tests/fakes/engine-parent.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 60_000);
});
