import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, rm } from 'node:fs/promises';
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
import { ensureFullCheckpoint, weightFilesOf } from './harness/full-checkpoint.ts';
import { type MemoryPeak, MemoryWatch } from './harness/process-memory.ts';
import type { Kind } from './harness/random-checkpoint.ts';
import { publish } from './harness/results.ts';
import { figure, type Row } from './harness/row.ts';
import { median } from './harness/statistics.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';

const SIDE_PX = 256;
const PLANNED_PX = 1024;
const CARDS_GB = [6, 8, 12, 16, 24];
/** Share of a card's memory that a desktop leaves free. */
const FREE_SHARE = 0.95;
const RAM_GB = [8, 16, 32];

interface Case {
  /** Rounds of reading and of compiling all files, in turns. */
  rounds: number;
  /** Limit and goal of compiling / reading. */
  compileRatio: { most: number; goal: number };
  /** Limit of what a compilation writes. */
  writtenMegabytes?: number;
  steps: number;
}

const cases: Record<Kind, Case> = {
  uint4: { rounds: 3, compileRatio: { most: 1, goal: 0.2 }, writtenMegabytes: 600, steps: 3 },
  int8: { rounds: 1, compileRatio: { most: 2.5, goal: 1.5 }, steps: 3 },
};

/**
 * `npm run bench -- fullsize [uint4|int8] [DIR]`: a checkpoint of Z-Image-Turbo's true sizes with random weights, written to DIR (`.cache/fullsize`) and used again
 * in later runs; compiled, loaded graph by graph, and run to an image of 256 x 256 by the real engine.
 */
export async function measureFullSize(named: string | undefined = process.argv[3], where: string | undefined = process.argv[4]): Promise<void> {
  const kind = z.enum(['uint4', 'int8']).default('uint4').parse(named);
  const dir = resolve(where ?? join(programDir, '.cache/fullsize'), kind);
  await mkdir(join(dir, '..'), { recursive: true });
  await ensureFullCheckpoint(dir, kind);
  const rows = await withTemporaryFolder((work) => measure(dir, kind, work));
  await publish({ name: 'fullsize', part: kind, what: `random weights of the true sizes, ${kind}`, rows });
}

async function measure(dir: string, kind: Kind, work: string): Promise<Row[]> {
  const { rounds, compileRatio, writtenMegabytes, steps } = cases[kind];
  const files = await weightFilesOf(dir);
  const largest = Math.max(...files.map(({ bytes }) => bytes));
  const rows: Row[] = [];
  const add = (...parts: Parameters<typeof figure>): void => {
    rows.push(figure(...parts));
  };
  const memory = (what: string, peak: MemoryPeak): void => {
    add(`${what}: own memory, peak`, gigabytes(peak.anonymous), 'GB');
    add(`${what}: mapped file pages, peak`, gigabytes(peak.file), 'GB');
    add(`${what}: own memory / largest file`, ratio(peak.anonymous, largest), '', { most: 1.15, goal: 0.3 });
  };
  add('weight files', gigabytes(files.reduce((sum, { bytes }) => sum + bytes, 0)), 'GB');
  add(`largest file, ${basename(files.find(({ bytes }) => bytes === largest)?.path ?? '')}`, gigabytes(largest), 'GB');

  const [reading, compiling]: number[][] = [[], []];
  let compiled: Step<z.infer<typeof compiledSchema>> | undefined;
  for (let round = 1; round <= rounds; round++) {
    reading?.push(await readAll(files.map(({ path }) => path)));
    await rm(join(work, 'compiled'), { recursive: true, force: true });
    compiled = await runStep(compiledSchema, ['compile', dir, join(work, 'compiled'), kind]);
    compiling?.push(compiled.milliseconds);
  }
  if (compiled === undefined || reading === undefined || compiling === undefined) throw new Error('A case has at least one round.');
  add('reading all files once', seconds(median(reading)), 's');
  add('compiling', seconds(median(compiling)), 's');
  add('compiling / reading', ratio(median(compiling), median(reading)), '', compileRatio);
  add('written by compiling', Math.ceil(compiled.writtenBytes / 1e6), 'MB', writtenMegabytes === undefined ? {} : { most: writtenMegabytes });
  memory('compiling', compiled.peak);

  for (const [graph, { onnxPath, weightsDir }] of Object.entries(compiled.graphs)) {
    const loaded = await runStep(loadedSchema, ['load', onnxPath, weightsDir]);
    add(`loading ${graph}`, seconds(loaded.milliseconds), 's');
    memory(`loading ${graph}`, loaded.peak);
  }
  rows.push(...(await plansFor(dir, kind, join(work, 'compiled'))), ...(await makeImage(dir, kind, work, 'in_turn', steps)));
  return rows;
}

/** The memory plan that each card or RAM size gets for an image of 1024 x 1024, with the memory that it needs. */
async function plansFor(checkpointDir: string, kind: Kind, cacheDir: string): Promise<Row[]> {
  const needsOn = async (target: GraphTarget): Promise<MemoryNeeds> => {
    const compiled = await compileCheckpoint({ checkpointDir, cacheDir, identity: kind, target }, () => {});
    return memoryNeeds(compiled, { width: PLANNED_PX, height: PLANNED_PX });
  };
  const [onCard, onCpu] = [await needsOn('gpu-bf16'), await needsOn('cpu-fast')];
  const planned = (where: string, { plan, needBytes }: ReturnType<typeof planMemory>): Row =>
    figure(`plan for ${PLANNED_PX} x ${PLANNED_PX} ${where}: ${plan}`, gigabytes(needBytes), 'GB');
  return [
    ...CARDS_GB.map((size) => planned(`on a card of ${size} GB`, planMemory(onCard, { ramBytes: 32e9, cardBytes: size * FREE_SHARE * 1e9 }, true))),
    ...RAM_GB.map((size) => planned(`with ${size} GB of free RAM`, planMemory(onCpu, { ramBytes: size * 1e9, cardBytes: null }, false))),
  ];
}

type Step<Answer> = Answer & { peak: MemoryPeak };

const loadedSchema = z.object({ milliseconds: z.number() });
const compiledSchema = loadedSchema.extend({
  writtenBytes: z.number(),
  graphs: z.record(z.string(), z.object({ onnxPath: z.string(), weightsDir: z.string() })),
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

/** Milliseconds to read these files once. */
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

/** One image as the server makes it, by a process that has loaded nothing yet. */
async function makeImage(dir: string, kind: Kind, work: string, memory: MemoryPlan, steps: number): Promise<Row[]> {
  const engine = createEngine({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: () => childEnvironment() }),
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
        outputPath: join(work, 'image.png'),
        provenance: null,
      },
      { onModelDone: () => {}, onProgress: ({ stage, done }) => void (stage === 'generating' && done > 0 && stepsAt.push(performance.now())) },
      new AbortController().signal,
    );
    const peak = watch.take();
    const planned = engine.status().memory.planned?.needBytes ?? Number.NaN;
    const what = `${SIDE_PX} x ${SIDE_PX} image, ${memory}`;
    const lastStep = (stepsAt.at(-2) ?? Number.NaN) - (stepsAt.at(-3) ?? startedAt);
    return [
      figure(`${what}: total, ${steps} steps`, seconds(performance.now() - startedAt), 's'),
      ...Object.entries(stagesMs).map(([stage, ms]) => figure(`${what}: ${stage}`, seconds(ms), 's')),
      figure(`${what}: last forward of the denoiser`, seconds(lastStep), 's'),
      figure(`${what}: own memory, peak`, gigabytes(peak.anonymous), 'GB'),
      figure(`${what}: mapped file pages, peak`, gigabytes(peak.file), 'GB'),
      figure(`${what}: both together, peak`, gigabytes(peak.total), 'GB', { most: 24 }),
      figure(`${what}: own memory / what the plan expected`, ratio(peak.anonymous, planned), '', { most: 1 }),
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
