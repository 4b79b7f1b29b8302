import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { compiledOnce } from '#main/compiler/compile-cache.ts';
import type { GraphTarget } from '#main/lib/compiled.ts';
import type { ModelEntry } from '#shared/domain/model.ts';
import { keepCompiledGraphsPruned } from './prune-compiled-graphs.ts';

let cacheDir: string;
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'prune-'));
  onTestFinished(() => rmSync(cacheDir, { recursive: true }));
});

/** The folder of a compilation that exists now. */
async function compile(identity: string, target: GraphTarget): Promise<string> {
  const write = async ({ writeDir, finalDir }: { writeDir: string; finalDir: string }) => {
    writeFileSync(join(writeDir, 'graph.onnx'), identity);
    return { dir: finalDir };
  };
  const { dir } = await compiledOnce(cacheDir, { identity, target, source: '/model', variant: '' }, z.object({ dir: z.string() }), write, () => {});
  return dir;
}

const entry = (identity: string | null, state: ModelEntry['state'] = 'installed', error: ModelEntry['error'] = null): ModelEntry => ({
  ...{ name: identity ?? 'broken', kind: 'uint4', state, active: true, license: 'x', identity, error, compilation: null },
  ...{ bytes_done: 0, bytes_total: 0, bytes_per_second: null, seconds_left: null },
  source: { type: 'bundled', repository: null, revision: null, path: null },
});

function start(models: ModelEntry[]) {
  let listener: (model: ModelEntry) => void = () => {};
  const warnings: string[] = [];
  const library = {
    entries: async () => models,
    watch: (listen: (model: ModelEntry) => void) => {
      listener = listen;
      return () => {};
    },
  };
  const close = keepCompiledGraphsPruned({
    cacheDir,
    library,
    devices: [{ device: 'cuda:0', gpuPrecision: 'bf16' }],
    log: { warn: (_, text) => warnings.push(text) },
  });
  return { changed: (model: ModelEntry) => listener(model), close, warnings };
}

test('graphs of models here, for devices here and the CPU, stay; others go', async () => {
  const kept = [await compile('here', 'gpu-bf16'), await compile('here', 'gpu-fp32'), await compile('here', 'cpu-fast')];
  await compile('here', 'gpu-fp16');
  await compile('removed', 'cpu-fast');
  await start([entry('here')]).close();
  expect(
    readdirSync(cacheDir)
      .map((name) => join(cacheDir, name))
      .sort(),
  ).toEqual(kept.sort());
});

test('a removed model loses its graphs while the program runs', async () => {
  const [dir, models] = [await compile('here', 'cpu-fast'), [entry('here')]];
  const pruning = start(models);
  models.pop();
  pruning.changed(entry(null, 'absent'));
  await pruning.close();
  expect([existsSync(dir), pruning.warnings]).toEqual([false, []]);
});

test('while a model cannot be read, no graph is taken for one of a removed model', async () => {
  const dir = await compile('on a disk that is not mounted', 'cpu-fast');
  await start([entry(null, 'damaged', { code: 'checkpoint_missing', message: 'gone' })]).close();
  expect(existsSync(dir)).toBe(true);
});
