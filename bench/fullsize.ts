import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { compileCheckpoint } from '#main/compiler/compile.ts';
import { childEnvironment } from '#main/config/child-environment.ts';
import { createEngine } from '#main/engine/create-engine.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { type MemoryNeeds, memoryNeeds, planMemory } from '#main/inference/memory-plan.ts';
import type { GraphTarget } from '#main/lib/compiled.ts';
import { entryFile, programDir } from '#main/lib/program-files.ts';
import { engineConfig } from '#main/studio/engine-config.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { type Check, checkLine, keepChecks } from './checks.ts';
import { ensureFullCheckpoint, weightFilesOf } from './full-checkpoint.ts';
import { median } from './median.ts';
import { MemoryWatch } from './process-memory.ts';
import type { Kind } from './random-checkpoint.ts';

const SIDE_PX = 256;
const PLANNED_PX = 1024;
const CARDS_GB = [6, 8, 12, 16, 24];
/** Of a card that also draws a desktop. */
const FREE_SHARE = 0.95;
const RAM_GB = [8, 16, 32];
const GRAPHS = ['textEncoder', 'captionRefiner', 'denoiser', 'vaeDecoder'] as const;

interface Case {
  /** Of reading all files and compiling them, in turns. */
  rounds: number;
  /** Largest ratio of the two times that is good enough, and the one to aim at. */
  compileRatio: { most: number; goal: number };
  /** What a compilation may write. */
  writtenMegabytes?: number;
  steps: number;
}

const cases: Record<Kind, Case> = {
  uint4: { rounds: 3, compileRatio: { most: 1, goal: 0.2 }, writtenMegabytes: 600, steps: 3 },
  int8: { rounds: 1, compileRatio: { most: 2.5, goal: 1.5 }, steps: 3 },
};

/**
 * `npm run bench -- fullsize [uint4|int8] [DIR]`: a checkpoint of Z-Image-Turbo's true sizes with random weights, written to DIR (`.cache/fullsize`) and used again
 * in later runs; compiled, loaded graph by graph, and taken to a picture of 256 x 256 through the real engine. Writes `bench/results/fullsize.json`.
 */
export async function measureFullSize(named: string | undefined = process.argv[3], where: string | undefined = process.argv[4]): Promise<void> {
  const kind = z.enum(['uint4', 'int8']).default('uint4').parse(named);
  const dir = resolve(where ?? join(programDir, '.cache/fullsize'), kind);
  await mkdir(join(dir, '..'), { recursive: true });
  const startedAt = performance.now();
  await ensureFullCheckpoint(dir, kind);
  const work = await mkdtemp(join(tmpdir(), 'bench-fullsize-'));
  try {
    const checks = await measure(dir, kind, work);
    await keepChecks('fullsize', kind, checks, startedAt);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function measure(dir: string, kind: Kind, work: string): Promise<Check[]> {
  const { rounds, compileRatio, writtenMegabytes, steps } = cases[kind];
  const files = await weightFilesOf(dir);
  const largest = Math.max(...files.map(({ bytes }) => bytes));
  const checks: Check[] = [];
  const add = (check: Check): void => {
    checks.push(check);
    console.log(checkLine(check));
  };
  const memory = (what: string, peak: Peak): void => {
    add({ what: `${what}: own memory at its peak`, value: gigabytes(peak.anonymous), unit: 'GB' });
    add({ what: `${what}: mapped file pages at their peak`, value: gigabytes(peak.file), unit: 'GB' });
    add({ what: `${what}: own memory / largest file`, value: ratio(peak.anonymous, largest), unit: '', most: 1.15, goal: 0.3 });
  };
  add({ what: 'weight files', value: gigabytes(files.reduce((sum, { bytes }) => sum + bytes, 0)), unit: 'GB' });
  add({ what: `largest file, ${basename(files.find(({ bytes }) => bytes === largest)?.path ?? '')}`, value: gigabytes(largest), unit: 'GB' });

  const [reading, compiling]: number[][] = [[], []];
  let compiled: Step<z.infer<typeof compiledSchema>> | undefined;
  for (let round = 1; round <= rounds; round++) {
    reading?.push(await readAll(files.map(({ path }) => path)));
    await rm(join(work, 'compiled'), { recursive: true, force: true });
    compiled = await runStep(compiledSchema, ['compile', dir, join(work, 'compiled'), kind]);
    compiling?.push(compiled.milliseconds);
  }
  if (compiled === undefined || reading === undefined || compiling === undefined) throw new Error('A case has at least one round.');
  add({ what: 'reading all files once', value: seconds(median(reading)), unit: 's' });
  add({ what: 'compiling', value: seconds(median(compiling)), unit: 's' });
  add({ what: 'compiling / reading', value: ratio(median(compiling), median(reading)), unit: '', ...compileRatio });
  add({ what: 'written by compiling', value: Math.ceil(compiled.writtenBytes / 1e6), unit: 'MB', ...(writtenMegabytes ? { most: writtenMegabytes } : {}) });
  memory('compiling', compiled.peak);

  for (const graph of GRAPHS) {
    const { onnxPath, weightsDir } = compiled.graphs[graph];
    const loaded = await runStep(loadedSchema, ['load', onnxPath, weightsDir]);
    add({ what: `loading ${graph}`, value: seconds(loaded.milliseconds), unit: 's' });
    memory(`loading ${graph}`, loaded.peak);
  }
  for (const check of await plansFor(dir, kind, join(work, 'compiled'))) add(check);
  for (const check of await makePicture(dir, kind, work, 'in_turn', steps)) add(check);
  return checks;
}

/** Which plan a card or RAM of each size gets for a picture of 1024 x 1024, and what that plan needs of it. */
async function plansFor(checkpointDir: string, kind: Kind, cacheDir: string): Promise<Check[]> {
  const needsOn = async (target: GraphTarget): Promise<MemoryNeeds> => {
    const compiled = await compileCheckpoint({ checkpointDir, cacheDir, identity: kind, target }, () => {});
    return memoryNeeds(compiled, { width: PLANNED_PX, height: PLANNED_PX });
  };
  const [onCard, onCpu] = [await needsOn('gpu-bf16'), await needsOn('cpu-fast')];
  const check = (where: string, { plan, needBytes }: ReturnType<typeof planMemory>): Check => ({
    what: `plan for ${PLANNED_PX} x ${PLANNED_PX} ${where}: ${plan}`,
    value: gigabytes(needBytes),
    unit: 'GB',
  });
  return [
    ...CARDS_GB.map((size) => check(`on a card of ${size} GB`, planMemory(onCard, { ramBytes: 32e9, cardBytes: size * FREE_SHARE * 1e9 }, true))),
    ...RAM_GB.map((size) => check(`with ${size} GB of free RAM`, planMemory(onCpu, { ramBytes: size * 1e9, cardBytes: null }, false))),
  ];
}

type Peak = ReturnType<MemoryWatch['take']>;
type Step<Answer> = Answer & { peak: Peak };

const loadedSchema = z.object({ milliseconds: z.number() });
const compiledSchema = loadedSchema.extend({
  writtenBytes: z.number(),
  graphs: z.record(z.enum(GRAPHS), z.object({ onnxPath: z.string(), weightsDir: z.string() })),
});

async function runStep<S extends z.ZodType<object>>(schema: S, args: readonly string[]): Promise<Step<z.infer<S>>> {
  const child = fork(join(programDir, 'bench/fullsize-process.ts'), args, { execArgv: [], env: { ...childEnvironment(), ORT_DISABLE_TELEMETRY: '1' } });
  const watch = new MemoryWatch(child.pid ?? 0);
  try {
    const exited = once(child, 'exit');
    const [answer] = await Promise.race([once(child, 'message'), exited]);
    const peak = watch.take();
    await exited;
    return { ...schema.parse(answer), peak };
  } finally {
    watch.stop();
  }
}

/** Milliseconds that it takes to read these files from their beginning to their end. */
async function readAll(paths: readonly string[]): Promise<number> {
  const chunk = new Uint8Array(1 << 24);
  const startedAt = performance.now();
  for (const path of paths) {
    const file = await open(path);
    try {
      while ((await file.read(chunk)).bytesRead > 0);
    } finally {
      await file.close();
    }
  }
  return performance.now() - startedAt;
}

/** One picture as the server would make it, from a process that has loaded nothing yet. */
async function makePicture(dir: string, kind: Kind, work: string, memory: MemoryPlan, steps: number): Promise<Check[]> {
  const engine = createEngine({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: childEnvironment }),
    devices: [{ ...engineConfig({ device: 'cpu', accuracy: 'fast', memory, dataDir: work }), cacheDir: join(work, 'compiled') }],
    log: { info: () => {}, warn: (data, message) => console.error(message, data) },
  });
  engine.warm();
  const watch = new MemoryWatch(engine.pid() ?? 0);
  const stepsAt: number[] = [];
  try {
    const startedAt = performance.now();
    const { stagesMs } = await engine.generate(
      {
        params: { prompt: 'an orange cat on a beach at sunset', width: SIDE_PX, height: SIDE_PX, steps, guidance_scale: 0, seed: 1, model_type: kind },
        checkpointDir: dir,
        checkpointIdentity: kind,
        outputPath: join(work, 'picture.png'),
        texts: [],
      },
      { onModelDone: () => {}, onProgress: ({ stage, done }) => void (stage === 'generating' && done > 0 && stepsAt.push(performance.now())) },
      new AbortController().signal,
    );
    const peak = watch.take();
    const planned = engine.status().memory.planned?.needBytes ?? Number.NaN;
    const what = `${SIDE_PX} x ${SIDE_PX} picture, ${memory}`;
    const lastStep = (stepsAt.at(-2) ?? Number.NaN) - (stepsAt.at(-3) ?? startedAt);
    return [
      { what: `${what}: in all, ${steps} steps`, value: seconds(performance.now() - startedAt), unit: 's' },
      ...Object.entries(stagesMs).map(([stage, ms]) => ({ what: `${what}: ${stage}`, value: seconds(ms), unit: 's' })),
      { what: `${what}: last forward of the denoiser`, value: seconds(lastStep), unit: 's' },
      { what: `${what}: own memory at its peak`, value: gigabytes(peak.anonymous), unit: 'GB' },
      { what: `${what}: mapped file pages at their peak`, value: gigabytes(peak.file), unit: 'GB' },
      { what: `${what}: both at their peak`, value: gigabytes(peak.total), unit: 'GB', most: 24 },
      { what: `${what}: own memory / what the plan expected`, value: ratio(peak.anonymous, planned), unit: '', most: 1 },
    ];
  } finally {
    watch.stop();
    await engine.close();
  }
}

function gigabytes(bytes: number): number {
  return Number((bytes / 1e9).toFixed(2));
}

function seconds(milliseconds: number): number {
  return Number((milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1));
}

function ratio(a: number, b: number): number {
  return Number((a / b).toPrecision(3));
}
