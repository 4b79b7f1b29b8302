import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { compiledOnce, type Work } from './compile-cache.ts';

const schema = z.object({ onnxPath: z.string(), by: z.string() });

/** A cache and the number of times that something was compiled. */
function createCache() {
  const dir = mkdtempSync(join(tmpdir(), 'compile-cache-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const compiledBy: string[] = [];
  const compiled = (by: string, meanwhile: (work: Work) => Promise<unknown> = async () => {}) =>
    compiledOnce(dir, ['content'], schema, async (work) => {
      compiledBy.push(by);
      writeFileSync(join(work.writeDir, 'graph.onnx'), by);
      await meanwhile(work);
      return { onnxPath: join(work.finalDir, 'graph.onnx'), by };
    });
  return { dir, compiledBy, compiled, names: () => readdirSync(dir) };
}

test('what was compiled is found again', async () => {
  const { compiledBy, compiled, names } = createCache();
  const first = await compiled('a');
  expect(await compiled('b')).toEqual(first);
  expect(readFileSync(first.onnxPath, 'utf8')).toBe('a');
  expect([compiledBy, names().length]).toEqual([['a'], 1]);
});

test.each([
  ['a manifest that is no JSON', (dir: string) => writeFileSync(join(dir, 'compiled.json'), '{"onnxPath": "gra')],
  ['a manifest of another version', (dir: string) => writeFileSync(join(dir, 'compiled.json'), '{"graph": 1}')],
  ['no manifest', (dir: string) => rmSync(join(dir, 'compiled.json'))],
  ['a graph that is gone', (dir: string) => rmSync(join(dir, 'graph.onnx'))],
])('%s counts as nothing compiled', async (_, damage) => {
  const { dir, compiledBy, compiled, names } = createCache();
  await compiled('a');
  damage(join(dir, names()[0] ?? ''));
  const again = await compiled('b');
  expect([readFileSync(again.onnxPath, 'utf8'), compiledBy, names().length]).toEqual(['b', ['a', 'b'], 1]);
});

test('of two that compile at once the first to finish stays, and both have what stands there', async () => {
  const { compiled, names } = createCache();
  let finished = '';
  const slow = compiled('slow', async () => {
    const quick = await compiled('quick');
    finished = readFileSync(quick.onnxPath, 'utf8');
  });
  expect(await slow).toMatchObject({ by: 'quick' });
  expect([finished, readFileSync((await slow).onnxPath, 'utf8'), names().length]).toEqual(['quick', 'quick', 1]);
});

test('a compilation that fails leaves nothing', async () => {
  const { compiled, names } = createCache();
  await expect(compiled('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(names()).toEqual([]);
});

test('what a process that was killed had begun is removed, what one that lives has begun is not', async () => {
  const { dir, compiled } = createCache();
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const [abandoned, underWay] = [pid, process.pid].map((owner) => join(dir, `.${'0'.repeat(32)}-${owner}-x`));
  for (const path of [abandoned, underWay]) mkdirSync(path ?? '');
  await compiled('a');
  expect([existsSync(abandoned ?? ''), existsSync(underWay ?? '')]).toEqual([false, true]);
});
