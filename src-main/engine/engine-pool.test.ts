import { describe, expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { codeOf, listen, never } from '../../tests/support/engine-conformance.ts';
import type { EngineStatus, GenerateTask, UpscaleTask } from './engine.ts';
import { createEnginePool } from './engine-pool.ts';
import type { SupervisedEngine } from './supervisor.ts';

/** An engine on a card, moved on by the test. */
class CardEngine extends SteppedEngine implements SupervisedEngine {
  state: Partial<EngineStatus> = {};
  isWarm = false;
  isClosed = false;

  override status(): EngineStatus {
    const status: EngineStatus = { ...super.status(), residentBytes: 10, restarts: 1, ...this.state };
    const { state, device, deviceReason, residentBytes } = status;
    return { ...status, devices: [{ state, device, deviceReason, residentBytes }] };
  }

  warm(): void {
    this.isWarm = true;
  }

  pid(): number | null {
    return this.isWarm ? 7 : null;
  }

  override async close(): Promise<void> {
    this.isClosed = true;
    await super.close();
  }
}

function twoCards() {
  const [first, second] = [new CardEngine(), new CardEngine()];
  first.state = { device: 'cuda:0' };
  second.state = { device: 'cuda:1' };
  return { first, second, pool: createEnginePool([first, second]) };
}

const params = { prompt: 'a cat', width: 256, height: 256, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
const generateTask = (checkpointIdentity = 'one'): GenerateTask => ({ params, checkpointDir: '/c', checkpointIdentity, outputPath: '/dev/null', texts: [] });
const upscaleTask: UpscaleTask = { inputPath: '/a.png', upscalerPath: '/u', upscalerIdentity: 'u', outputPath: '/dev/null', texts: [] };
const countsOf = (...engines: CardEngine[]) => engines.map(({ tasks }) => tasks.length);

describe('a task goes to the first device that is free', () => {
  test('which it is again once the model work is over, before the picture is written', async () => {
    const { first, second, pool } = twoCards();
    expect(pool.places()).toBe(2);
    const { heard, hooks } = listen();
    void pool.generate(generateTask(), hooks, never());
    void pool.generate(generateTask(), listen().hooks, never());
    expect(countsOf(first, second)).toEqual([1, 1]);
    (await second.task(0)).modelDone();
    void pool.upscale(upscaleTask, listen().hooks, never());
    expect(countsOf(first, second)).toEqual([1, 2]);
    (await first.task(0)).modelDone();
    expect(heard.modelDone).toHaveLength(1);
    void pool.upscale(upscaleTask, listen().hooks, never());
    expect(countsOf(first, second)).toEqual([2, 2]);
  });

  test('also after a failure, and reports and rejections are those of its engine', async () => {
    const { first, second, pool } = twoCards();
    const failing = pool.generate(generateTask(), listen().hooks, never());
    (await first.task(0)).fail(new AppError('engine_crashed', 'gone', {}));
    expect(await codeOf(failing)).toBe('engine_crashed');
    const running = pool.generate(generateTask(), listen().hooks, never());
    expect(countsOf(first, second)).toEqual([2, 0]);
    await (await first.task(1)).finish();
    expect(await running).toMatchObject({ deviceReason: 'a test' });
  });

  test('and of two free ones to the one that ran the checkpoint last', async () => {
    const { first, second, pool } = twoCards();
    for (const [engine, checkpoint] of [
      [first, 'one'],
      [second, 'other'],
    ] as const) {
      void pool.generate(generateTask(checkpoint), listen().hooks, never());
      expect(engine.tasks).toHaveLength(1);
    }
    for (const engine of [first, second]) (await engine.task(0)).modelDone();
    void pool.generate(generateTask('other'), listen().hooks, never());
    expect(countsOf(first, second)).toEqual([1, 2]);
  });
});

test('an engine that fell back to the CPU, or keeps dying, gets nothing while another has a GPU', () => {
  const { first, second, pool } = twoCards();
  first.state = { device: 'cpu', deviceReason: 'cuda:0 was given up' };
  expect(pool.places()).toBe(1);
  for (let i = 0; i < 2; i++) void pool.generate(generateTask(), listen().hooks, never());
  expect(countsOf(first, second)).toEqual([0, 2]);
  expect(pool.status()).toMatchObject({ device: 'cuda:1', devices: [{ device: 'cpu', deviceReason: 'cuda:0 was given up' }, { device: 'cuda:1' }] });
  second.state = { device: 'cuda:1', state: 'unavailable' };
  void pool.generate(generateTask(), listen().hooks, never());
  expect(countsOf(first, second)).toEqual([1, 2]);
  expect(pool.places()).toBe(1);
});

test('what is asked of the pool is asked of all, and its numbers are their sums', async () => {
  const { first, second, pool } = twoCards();
  expect(pool.pid()).toBeNull();
  pool.warm();
  pool.unloadAfter(5);
  expect([first, second].map(({ isWarm, idleMs }) => [isWarm, idleMs])).toEqual([
    [true, 5],
    [true, 5],
  ]);
  expect(pool.pid()).toBe(7);
  expect(pool.status()).toMatchObject({ device: 'cuda:0', residentBytes: 20, restarts: 2 });
  await pool.close();
  expect([first.isClosed, second.isClosed]).toEqual([true, true]);
});

test('one engine is its own pool', () => {
  const engine = new CardEngine();
  expect(createEnginePool([engine])).toBe(engine);
});
