import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import type { CancelSignal } from '#main/inference/cancel.ts';
import { createSession } from '#main/inference/ort.ts';
import type { GraphFiles } from '#main/lib/compiled.ts';
import type { OrtBinding } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { openBundled } from './harness/bundled-models.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, type Run, takeTurns, timeMs } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { median } from './harness/statistics.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';

const TINY_RUNS = 2000;
const PEER = 'onnxruntime-node';
/** Cancellations at different moments of a run. */
const STOPS = 20;
const STOP_LIMIT_MS = 50;
const threads = availableParallelism();

type Timed = (signal?: CancelSignal) => Promise<void>;

/** Our calls of ONNX Runtime's C API beside `onnxruntime-node`; both load the same library. */
export async function compareBindings(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const rows = [await compareTiny(folder)];
    const [ours, peer] = [await openBundled(folder, { threads, binding: 'c-api' }), await openBundled(folder, { threads, binding: 'node' })];
    for (const part of ['step', 'decode'] as const) {
      const label = `512 × 512, one ${part}`;
      const series = await takeTurns(ROUNDS, timed(ours[part]), timed(peer[part]));
      rows.push({ label, unit: 'ms', ours: series.ours, peer: { name: PEER, series: series.peer }, must: 1.02, goal: 1 });
      rows.push(await measureStop(`${label}, time from a cancellation to the stop`, ours[part], median(series.ours)));
      rows.push(await compareGaps(`${label}, longest block of the calling thread`, ours[part], peer[part]));
    }
    await ours.release();
    await peer.release();
    rows.push(await comparePeaks(folder));
    await publish({ name: 'binding', what: 'ONNX Runtime called through its C API beside its npm package', rows });
  });
}

function timed(work: Timed): Run {
  return () => timeMs(() => work());
}

async function compareTiny(folder: string): Promise<Row> {
  const graph = await tinyGraph(folder);
  const input = { data: Float32Array.of(1, 2, 3, 4), shape: [1, 4] };
  const runs = async (binding: OrtBinding): Promise<Run> => {
    const session = await createSession(graph, { threads, binding });
    const many = timed(async () => {
      for (let i = 0; i < TINY_RUNS; i++) await session.run({ row: { ...input } });
    });
    return async (round) => (await many(round)) / TINY_RUNS;
  };
  const series = await takeTurns(ROUNDS, await runs('c-api'), await runs('node'));
  return {
    label: 'one run of a graph with a single small product',
    unit: 'ms',
    ours: series.ours,
    peer: { name: PEER, series: series.peer },
    must: null,
    goal: null,
  };
}

async function tinyGraph(folder: string): Promise<GraphFiles> {
  const builder = new GraphBuilder('tiny');
  const row = builder.input('row', 'float32', [1, 4]);
  builder.output(builder.add('Gemm', [row, builder.floats(new Float32Array(16).fill(1), [4, 4])]), 'sums');
  const onnxPath = join(folder, 'tiny.onnx');
  await writeFile(onnxPath, writeOnnx(builder.finish(), '', '1'));
  return { onnxPath, weightsDir: folder };
}

/** From setting the signal, within the first 80 % of a run, to its rejection. A run that ended first does not count. */
async function measureStop(label: string, work: Timed, wholeMs: number): Promise<Row> {
  const ours: number[] = [];
  for (let round = 0; round < STOPS; round++) {
    const signal = { cancelled: false };
    const stopped = work(signal).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    await sleep((wholeMs * 0.8 * round) / STOPS);
    signal.cancelled = true;
    const cancelledAt = performance.now();
    const thrown = await stopped;
    if (thrown === null) continue;
    if (!(thrown instanceof AppError) || thrown.code !== 'cancelled') throw new Error(`${label}: expected a cancellation, got ${thrown}`);
    ours.push(performance.now() - cancelledAt);
  }
  return { label, unit: 'ms', ours, peer: null, must: STOP_LIMIT_MS, goal: null, note: `the slowest of ${ours.length}: ${Math.max(...ours).toFixed(0)} ms` };
}

async function compareGaps(label: string, ours: Timed, peer: Timed): Promise<Row> {
  const series = await takeTurns(ROUNDS, longestGap(ours), longestGap(peer));
  return { label, unit: 'ms', ours: series.ours, peer: { name: PEER, series: series.peer }, must: null, goal: null };
}

function longestGap(work: Timed): Run {
  return async () => {
    let [last, longest] = [performance.now(), 0];
    const look = () => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    };
    const timer = setInterval(look, 1);
    await work();
    look();
    clearInterval(timer);
    return longest;
  };
}

/** Peak memory of a process that loads the models, runs one step and decodes one image. */
async function comparePeaks(cacheDir: string): Promise<Row> {
  const peak = (binding: OrtBinding): Run => {
    return async () => {
      const entry = join(import.meta.dirname, 'binding-process.ts');
      const { stdout } = await promisify(execFile)(process.execPath, [entry, cacheDir, binding]);
      return Number(stdout);
    };
  };
  const series = await takeTurns(3, peak('c-api'), peak('node'));
  return { label: '512 × 512, peak memory of a process', unit: 'bytes', ours: series.ours, peer: { name: PEER, series: series.peer }, must: 1.05, goal: 1 };
}
