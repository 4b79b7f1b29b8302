import { expect, test } from 'vitest';
import { ScriptedProcess } from '../../tests/fakes/scripted-process.ts';
import { codeOf, listen, never } from '../../tests/support/engine-conformance.ts';
import { createEngine } from './create-engine.ts';
import type { GenerateTask, UpscaleTask } from './engine.ts';

const report = { stagesMs: {}, device: 'cuda:0', deviceReason: 'a card', accuracy: 'fast', width: 256, height: 256, pixelsSha256: 'e3b0' };
const params = { prompt: 'a cat', width: 256, height: 256, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' } as const;
const task: GenerateTask = { params, checkpointDir: '/c', checkpointIdentity: 'c', outputPath: '/a.png', provenance: null };
const upscaleTask: UpscaleTask = { inputPath: '/a.png', upscalerPath: '/u', upscalerIdentity: 'u', outputPath: '/b.png', provenance: null };

function twoCards() {
  const processes: ScriptedProcess[] = [];
  const engine = createEngine({
    spawn: () => {
      const started = new ScriptedProcess();
      processes.push(started);
      return started;
    },
    devices: (['cuda:0', 'cuda:1'] as const).map((device) => ({
      device,
      deviceReason: 'a card',
      accuracy: 'fast',
      memory: 'auto',
      threads: 1,
      cacheDir: '/nowhere',
    })) as [never, never],
    log: { info: () => {}, warn: () => {} },
    limits: { backoffMs: [0], maxRestarts: 0 },
  });
  return { engine, processes };
}

const counts = (processes: ScriptedProcess[]) => processes.map((started) => started.taskIds().length);

test('two cards work side by side, an upscale before a new image, and the numbers are sums', async () => {
  const { engine, processes } = twoCards();
  engine.warm();
  for (const started of processes) {
    started.say({ type: 'ready' });
    started.say({ type: 'heartbeat', residentBytes: 10 });
  }
  expect(engine.status()).toMatchObject({ device: 'cuda:0', residentBytes: 20, devices: [{ device: 'cuda:0' }, { device: 'cuda:1' }] });
  expect([engine.deviceCount(), engine.pid()]).toEqual([2, 1]);
  const started: string[] = [];
  const hooks = (name: string) => ({ ...listen().hooks, onModelStart: () => started.push(name) });
  const settled = Promise.allSettled([
    engine.generate(task, hooks('first'), never()),
    engine.generate(task, hooks('second'), never()),
    engine.generate(task, hooks('third'), never()),
    engine.upscale(upscaleTask, hooks('upscale'), never()),
  ]);
  expect([counts(processes), started]).toEqual([
    [1, 1],
    ['first', 'second'],
  ]);
  const [, second] = processes;
  second?.say({ type: 'model_done', id: second.taskIds()[0] });
  expect([counts(processes), started]).toEqual([
    [1, 2],
    ['first', 'second', 'upscale'],
  ]);
  second?.say({ type: 'done', id: second.taskIds()[0], report });
  await engine.close();
  expect(await settled).toMatchObject([{ reason: { code: 'shutting_down' } }, { status: 'fulfilled' }, { status: 'rejected' }, { status: 'rejected' }]);
  expect(processes.every(({ wasKilled }) => wasKilled)).toBe(true);
  expect([engine.hasCapacity(), await codeOf(engine.generate(task, listen().hooks, never()))]).toEqual([false, 'shutting_down']);
});

test('a task that waits for a device can be cancelled, and what comes behind it runs', async () => {
  const { engine, processes } = twoCards();
  engine.warm();
  for (const started of processes) started.say({ type: 'ready' });
  const controller = new AbortController();
  const settled = Promise.allSettled([1, 2].map(() => engine.generate(task, listen().hooks, never())));
  const waiting = engine.generate(task, listen().hooks, controller.signal);
  controller.abort();
  expect(await codeOf(waiting)).toBe('cancelled');
  expect(counts(processes)).toEqual([1, 1]);
  await engine.close();
  await settled;
});
