import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CompileJob } from '#main/compiler/compile-job.ts';
import { compileKlein } from '#main/compiler/models/klein.ts';
import { memoryNeeds, planMemory } from '#main/inference/memory-plan.ts';
import type { CompiledKlein } from '#main/lib/compiled.ts';
import { writeRandomKlein } from '../bench/harness/klein-checkpoint.ts';

/** FLUX.2 klein 4B in uint4, its weights a hole in a file: graphs need only the headers. */
let dir: string;
let onCard: CompiledKlein;
let onCpu: CompiledKlein;
const written: unknown[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'klein-memory-'));
  await writeRandomKlein(dir, { isSparse: true, int5Every: Number.POSITIVE_INFINITY });
  const compile = async (target: 'gpu-bf16' | 'cpu-fast') => {
    const job = new CompileJob({ writeDir: dir, finalDir: dir }, target, { isDryRun: true });
    const compiled = await compileKlein(dir, job, target);
    written.push(...job.report().graphs.flatMap(({ unpacked }) => unpacked));
    return compiled;
  };
  [onCard, onCpu] = [await compile('gpu-bf16'), await compile('cpu-fast')];
});
afterAll(() => rm(dir, { recursive: true }));

test('uint4 in groups of 64 is used in place, fused matrices too', () => expect(written).toEqual([]));

const TABLE_GB = 0.78;
const loadedGb = ({ parts }: CompiledKlein, ...names: (keyof CompiledKlein['parts'])[]): number =>
  names.reduce((sum, name) => sum + parts[name].graph.memory.loadedBytes, 0) / 1e9;
/** Of the denoiser, with its 512 tokens of text. */
const runningGb = ({ parts }: CompiledKlein, tokens: number): number => {
  const { fixed, perUnit } = parts.denoiser.graph.memory.runningBytes;
  return (fixed + perUnit * (tokens - 512)) / 1e9;
};

test.for<[string, number, number, (compiled: CompiledKlein) => number]>([
  ['denoiser', 2.1, 2.9, (compiled) => loadedGb(compiled, 'denoiser')],
  ['modulation', 0.34, 0.68, (compiled) => loadedGb(compiled, 'modulation')],
  ['both halves of the VAE', 0.34, 0.34, (compiled) => loadedGb(compiled, 'vaeEncoder', 'vaeDecoder')],
  ['a run with 4,608 tokens', 0.45, 0.9, (compiled) => runningGb(compiled, 4608)],
  ['a run with 8,704 tokens', 0.86, 1.7, (compiled) => runningGb(compiled, 8704)],
  ['a run with 20,992 tokens', 2.1, 4.1, (compiled) => runningGb(compiled, 20_992)],
])('%s: %f GB on a card and %f GB on the CPU, within 15 %', ([, card, cpu, measured]) => {
  expect(Math.abs(measured(onCard) / card - 1)).toBeLessThan(0.15);
  expect(Math.abs(measured(onCpu) / cpu - 1)).toBeLessThan(0.15);
});

test('27 layers of the text encoder take 1.5 GB on a card beside the table, and 2.1 GB on the CPU, which looks rows up in the file', () => {
  expect(Math.abs((loadedGb(onCard, 'textEncoder') - TABLE_GB) / 1.5 - 1)).toBeLessThan(0.15);
  expect(Math.abs(loadedGb(onCpu, 'textEncoder') / 2.1 - 1)).toBeLessThan(0.15);
});

test('a plan counts the tokens of all references, and the largest one for the encoder', () => {
  const megapixel = { width: 1024, height: 1024 };
  const needs = (...encoded: { width: number; height: number }[]) => memoryNeeds(onCpu, megapixel, encoded);
  const running = (role: string, list: ReturnType<typeof needs>) => list.flatMap((need) => (need.role === role ? [need.runningBytes] : []));
  const [none, one, four] = [needs(), needs(megapixel), needs(megapixel, megapixel, megapixel, megapixel)];
  for (const [list, tokens] of [
    [none, 4608],
    [one, 8704],
    [four, 20_992],
  ] as const)
    expect((running('denoiser', list)[0] ?? 0) / 2e9).toBeCloseTo(runningGb(onCpu, tokens), 6);
  // without a reference the encoder is not there
  expect([none, one, four].map((list) => running('brief', list).length)).toEqual([1, 2, 2]);
  expect(running('brief', four)).toEqual(running('brief', one));
});

test('on a card of 16 GB an edit keeps everything loaded; on the CPU one megapixel of reference fits into 8 GB, and four need 12', () => {
  const megapixel = { width: 1024, height: 1024 };
  const edit = (compiled: CompiledKlein, count: number) => memoryNeeds(compiled, megapixel, new Array(count).fill(megapixel));
  expect(planMemory(edit(onCard, 1), { ramBytes: 32e9, cardBytes: 15.2e9 }, true).plan).toBe('resident');
  const cpu = (count: number, ramBytes: number) => planMemory(edit(onCpu, count), { ramBytes, cardBytes: null }, false).needBytes <= ramBytes;
  expect([cpu(1, 8e9), cpu(4, 8e9), cpu(4, 12e9)]).toEqual([true, false, true]);
});
