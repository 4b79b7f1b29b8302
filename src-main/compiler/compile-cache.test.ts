import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { GraphTarget } from '#main/lib/compiled.ts';
import { compiledOnce, findCompiled, pruneCompiled, type Work } from './compile-cache.ts';

const schema = z.object({ onnxPath: z.string(), by: z.string() });

interface Attempt {
  identity?: string;
  target?: GraphTarget;
  source?: string;
  meanwhile?: (work: Work) => Promise<unknown>;
}

/** A cache, the compilations that ran, and the damage that was reported. */
function createCache() {
  const dir = mkdtempSync(join(tmpdir(), 'compile-cache-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const compiledBy: string[] = [];
  const damages: string[] = [];
  const compiled = (by: string, { identity = 'content', target = 'cpu-fast', source = '/checkpoint', meanwhile = async () => {} }: Attempt = {}) =>
    compiledOnce(
      dir,
      { identity, target, source, variant: '' },
      schema,
      async (work) => {
        compiledBy.push(by);
        writeFileSync(join(work.writeDir, 'graph.onnx'), `a graph by ${by}`);
        await meanwhile(work);
        return { onnxPath: join(work.finalDir, 'graph.onnx'), by };
      },
      (reason) => damages.push(reason),
    );
  return { dir, compiledBy, compiled, damages, names: () => readdirSync(dir) };
}

test('a compilation is found again', async () => {
  const { dir, compiledBy, compiled, damages, names } = createCache();
  const first = await compiled('a');
  expect(await compiled('b')).toEqual(first);
  expect(readFileSync(first.onnxPath, 'utf8')).toBe('a graph by a');
  expect([compiledBy, names().length, damages]).toEqual([['a'], 1, []]);
  expect(await findCompiled(dir, { identity: 'content', target: 'cpu-fast' }, schema)).toEqual(first);
  expect(await findCompiled(dir, { identity: 'content', target: null }, schema)).toEqual(first);
  expect(await findCompiled(dir, { identity: 'content', target: 'gpu-bf16' }, schema)).toBeNull();
});

test('the same content in two places is compiled for each: graphs refer to the files of one', async () => {
  const { compiled } = createCache();
  expect(await compiled('a')).toMatchObject({ by: 'a' });
  expect(await compiled('b', { source: '/copy' })).toMatchObject({ by: 'b' });
});

const manifest = (dir: string) => join(dir, 'compiled.json');
const graph = (dir: string) => join(dir, 'graph.onnx');

function replaceByFolder(dir: string): void {
  rmSync(manifest(dir));
  mkdirSync(manifest(dir));
}

test.each<[string, (dir: string) => void, RegExp]>([
  ['a manifest cut short', (dir) => truncateSync(manifest(dir), 40), /compiled\.json/],
  ['an empty manifest', (dir) => truncateSync(manifest(dir), 0), /compiled\.json/],
  ['a manifest that is a list', (dir) => writeFileSync(manifest(dir), '[]'), /compiled\.json/],
  ['a manifest with other fields', (dir) => writeFileSync(manifest(dir), readFileSync(manifest(dir), 'utf8').replace('"by"', '"from"')), /compiled\.json/],
  ['a folder in place of the manifest', replaceByFolder, /compiled\.json/],
  ['no manifest', (dir) => rmSync(manifest(dir)), /compiled\.json/],
  ['a graph that is missing', (dir) => rmSync(graph(dir)), /graph\.onnx is missing/],
  ['a graph cut in half', (dir) => truncateSync(graph(dir), 6), /graph\.onnx has 6 of 12 bytes/],
  ['an empty graph', (dir) => truncateSync(graph(dir), 0), /graph\.onnx has 0 of 12 bytes/],
  ['a graph of zeros', (dir) => writeFileSync(graph(dir), Buffer.alloc(12)), /graph\.onnx has another content/],
])('%s: compiled again once, with the reason', async (_, damage, reason) => {
  const { dir, compiledBy, compiled, damages, names } = createCache();
  await compiled('a');
  const before = names();
  damage(join(dir, names()[0] ?? ''));
  const again = await compiled('b');
  expect(await compiled('c')).toEqual(again);
  expect([readFileSync(again.onnxPath, 'utf8'), compiledBy, names().length]).toEqual(['a graph by b', ['a', 'b'], 1]);
  expect(damages).toEqual([expect.stringMatching(reason)]);
  expect(names()).toEqual(before);
});

test('a copied cache is not used: its graphs refer to the files they were copied from', async () => {
  const [first, second] = [createCache(), createCache()];
  const original = await first.compiled('a');
  cpSync(first.dir, second.dir, { recursive: true });
  expect((await second.compiled('b')).onnxPath).not.toBe(original.onnxPath);
  expect(second.damages).toEqual([expect.stringContaining('is a copy of')]);
});

test('of two that compile at once the first to finish stays, and both use it', async () => {
  const { compiled, names } = createCache();
  let finished = '';
  const slow = compiled('slow', {
    meanwhile: async () => {
      const quick = await compiled('quick');
      finished = readFileSync(quick.onnxPath, 'utf8');
    },
  });
  expect(await slow).toMatchObject({ by: 'quick' });
  expect([finished, readFileSync((await slow).onnxPath, 'utf8'), names().length]).toEqual(['a graph by quick', 'a graph by quick', 1]);
});

test('two that replace a damaged folder at once leave every returned graph in place', async () => {
  const { dir, compiled, names } = createCache();
  await compiled('a');
  truncateSync(graph(join(dir, names()[0] ?? '')), 0);
  const both = await Promise.all([compiled('b'), compiled('c')]);
  for (const { onnxPath, by } of both) expect(readFileSync(onnxPath, 'utf8')).toBe(`a graph by ${by}`);
});

test('a compilation that fails leaves nothing', async () => {
  const { compiled, names } = createCache();
  await expect(compiled('a', { meanwhile: () => Promise.reject(new Error('broken')) })).rejects.toThrow('broken');
  expect(names()).toEqual([]);
});

test('a cache folder that cannot be made is an error that names it', async () => {
  const { dir } = createCache();
  writeFileSync(join(dir, 'file'), '');
  const key = { identity: 'x', target: 'cpu-fast', source: '/', variant: '' } as const;
  const compiling = compiledOnce(
    join(dir, 'file/cache'),
    key,
    schema,
    () => Promise.reject(new Error('not reached')),
    () => {},
  );
  await expect(compiling).rejects.toMatchObject({ code: 'folder_not_writable', message: expect.stringContaining('file/cache') });
});

test('the unfinished work of ended processes is removed, that of running ones is not', async () => {
  const { dir, compiled } = createCache();
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  // an earlier process with this one's id, as in a container that was restarted, has ended too
  const [ended, sameId, running] = [pid, process.pid, process.ppid].map((owner) => join(dir, `.${'0'.repeat(32)}-${owner}-x`)) as [string, string, string];
  for (const path of [ended, sameId, running]) mkdirSync(path);
  await compiled('a', { meanwhile: async () => void (await compiled('b', { identity: 'other' })) });
  expect([ended, sameId, running].map((path) => existsSync(path))).toEqual([false, false, true]);
});

test('prune keeps what is wanted and files that are not the cache’s', async () => {
  const { dir, compiled, names } = createCache();
  const kept = await compiled('a');
  await compiled('b', { identity: 'removed model' });
  await compiled('c', { target: 'gpu-bf16' });
  const ofOlderVersion = 'f'.repeat(32);
  mkdirSync(join(dir, ofOlderVersion));
  writeFileSync(join(dir, ofOlderVersion, 'compiled.json'), '{"identity":"content","onnxPath":"/x"}');
  mkdirSync(join(dir, 'mine'));
  await pruneCompiled(dir, ({ identity, target }) => identity === 'content' && target === 'cpu-fast');
  expect(names().length).toBe(2);
  expect(existsSync(join(dir, 'mine'))).toBe(true);
  expect(readFileSync(kept.onnxPath, 'utf8')).toBe('a graph by a');
  await pruneCompiled(join(dir, 'not there'), () => false);
});
