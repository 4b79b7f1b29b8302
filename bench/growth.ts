import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { StudioProcess } from '../tests/support/studio-process.ts';
import { withBenchEngine } from './bench-engine.ts';
import { type Comparison, isWanted, publishRows, ROUNDS, takeTurns } from './comparison.ts';
import { pictureFlops } from './flops.ts';
import { fillGallery } from './large-gallery.ts';
import { closeSockets, openSocket, queue } from './load/sockets.ts';
import { submit } from './load/submit.ts';
import { forgetPeak, peakBytes } from './resident-size.ts';

const SIDES_PX = [256, 512, 768, 1024, 1536, 2048];
const PROMPT = 'an orange cat on a beach';
/** In the original's count: two forwards. */
const STEPS = 3;
const FORWARDS = STEPS - 1;
/** The prompt's, padded. */
const CAPTION_TOKENS = 32;
const JOB_COUNTS = [1_000, 100_000];
const SUBMITS = 100;
/** Work that grows by one part may take so many parts more. */
const LARGEST_SLOPE = 1.1;
const LARGEST_GROWTH = 1.2;

/** How time and memory grow with a picture's size, against the operations in it; and that nothing grows with the number of jobs ever made. */
export async function measureGrowth(): Promise<void> {
  const keep = (rows: Comparison[]) =>
    publishRows({
      name: 'growth',
      what: `by the size of a picture (${FORWARDS} forwards and a decode, bundled uint4) and by the number of jobs`,
      versions: {},
      rows,
    });
  if (isWanted('pictures')) await keep(await growthBySize());
  if (isWanted('jobs')) await growthByJobs(keep);
}

async function growthBySize(): Promise<Comparison[]> {
  const flops: number[] = [];
  const ms: number[][] = SIDES_PX.map(() => []);
  await withBenchEngine(async (engine) => {
    for (const sidePx of SIDES_PX) flops.push(await pictureFlops(engine.checkpointDir, sidePx, CAPTION_TOKENS, FORWARDS));
    // the first of a size takes memory from the system
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [i, sidePx] of SIDES_PX.entries()) {
        const drawn = await engine.generate({ prompt: PROMPT, sidePx, seed: round, steps: STEPS });
        if (round > 0) ms[i]?.push(drawn.ms);
      }
    }
  });
  const peaks: number[] = [];
  for (const sidePx of SIDES_PX) peaks.push(await peakOf(sidePx));
  const logs = (values: readonly number[]) => values.map(Math.log);
  const slopes = Array.from({ length: ROUNDS }, (_, round) => slope(logs(flops), logs(ms.map((values) => values[round] ?? Number.NaN))));
  return [
    { label: 'time against operations, 256 to 2048', unit: 'slope', ours: slopes, peer: null, must: LARGEST_SLOPE, goal: 1 },
    { label: 'memory against operations, 256 to 2048', unit: 'slope', ours: [slope(logs(flops), logs(peaks))], peer: null, must: 1, goal: null },
    ...SIDES_PX.map((sidePx, i): Comparison => {
      const note = `${((flops[i] ?? 0) / 1e9).toFixed(0)} GFLOP, ${Math.round((peaks[i] ?? 0) / 1e6)} MB at the most`;
      return { label: `${sidePx} x ${sidePx}`, unit: 'ms', ours: ms[i] ?? [], peer: null, must: null, goal: null, note };
    }),
  ];
}

/** The most that an engine's process holds for its second picture of a size, in bytes; a process of its own for each, since memory once taken is kept for the next. */
async function peakOf(sidePx: number): Promise<number> {
  let bytes = Number.NaN;
  await withBenchEngine(async (engine) => {
    await engine.generate({ prompt: PROMPT, sidePx, seed: 0, steps: STEPS });
    forgetPeak(engine.pid());
    await engine.generate({ prompt: PROMPT, sidePx, seed: 1, steps: STEPS });
    bytes = peakBytes(engine.pid());
  });
  return bytes;
}

/** Of the line through the points that leaves the least squares. */
function slope(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  const along = x.reduce((sum, value, i) => sum + (value - meanX) * ((y[i] ?? Number.NaN) - meanY), 0);
  return along / x.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
}

/** A server over a database of one job beside servers over more, all with an engine that takes no time. */
async function growthByJobs(keep: (rows: Comparison[]) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-growth-'));
  try {
    const one = await filled(join(folder, '1'), 1);
    for (const count of JOB_COUNTS) {
      const many = await filled(join(folder, String(count)), count);
      await keep(await compareSubmits(many, one, count));
      await keep(await compareStarts(many, one, count));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A data folder with so many finished jobs. */
async function filled(dataDir: string, count: number): Promise<string> {
  const studio = await StudioProcess.start({ dataDir, engine: { stepMs: 0 } });
  const socket = await openSocket(studio.port);
  await submit([socket], 1, 1, 'sample');
  await new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const message: { status?: string } = JSON.parse(data.toString());
      if (message.status === 'completed') resolve();
    });
  });
  closeSockets([socket]);
  await studio.end();
  await fillGallery(dataDir, join(dataDir, 'outputs'), count);
  return dataDir;
}

async function compareSubmits(manyDir: string, oneDir: string, count: number): Promise<Comparison[]> {
  const studios = [await StudioProcess.start({ dataDir: manyDir }), await StudioProcess.start({ dataDir: oneDir })] as const;
  const sockets: WebSocket[] = [];
  for (const { port } of studios) {
    await queue(port, 'pause');
    sockets.push(await openSocket(port));
  }
  const [many, one] = sockets;
  if (many === undefined || one === undefined) throw new Error('two servers were started');
  const submitsOn = (socket: WebSocket) => async (round: number) => (await submit([socket], SUBMITS, 1, `${count}, round ${round}`)).ms / SUBMITS;
  const series = await takeTurns(ROUNDS, submitsOn(many), submitsOn(one));
  for (const { port } of studios) await queue(port, 'clear');
  closeSockets(sockets);
  await Promise.all(studios.map((studio) => studio.end()));
  return [besideOne(`a submit until its answer, ${count.toLocaleString('en')} jobs`, 'ms', series)];
}

async function compareStarts(manyDir: string, oneDir: string, count: number): Promise<Comparison[]> {
  const bytes: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  const startOn = (dataDir: string, residentBytes: number[]) => async (round: number) => {
    const startedAt = performance.now();
    const studio = await StudioProcess.start({ dataDir });
    const ms = performance.now() - startedAt;
    const { rss } = await studio.memory();
    if (round > 0) residentBytes.push(rss);
    await studio.end();
    return ms;
  };
  const series = await takeTurns(ROUNDS, startOn(manyDir, bytes.ours), startOn(oneDir, bytes.peer));
  const jobs = `${count.toLocaleString('en')} jobs`;
  return [besideOne(`process start until it serves, ${jobs}`, 'ms', series), besideOne(`memory after the start, ${jobs}`, 'bytes', bytes)];
}

function besideOne(label: string, unit: 'ms' | 'bytes', series: { ours: number[]; peer: number[] }): Comparison {
  return { label, unit, ours: series.ours, peer: { name: 'with 1 job', series: series.peer }, must: LARGEST_GROWTH, goal: null };
}
