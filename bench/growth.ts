import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { StudioProcess } from '../tests/support/studio-process.ts';
import { imageFlops } from './flops.ts';
import { withBenchEngine } from './harness/bench-engine.ts';
import { fillGallery } from './harness/large-gallery.ts';
import { peakBytes, resetPeak } from './harness/process-memory.ts';
import { publishMore } from './harness/results.ts';
import { isWanted, ROUNDS, takeTurns } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { figure } from './harness/row.ts';
import { slope } from './harness/statistics.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';
import { closeSockets, openSocket, queue } from './load/sockets.ts';
import { submit } from './load/submit.ts';

const SIDES_PX = [256, 512, 768, 1024, 1536, 2048];
const PROMPT = 'an orange cat on a beach';
/** As the API counts: two forwards. */
const STEPS = 3;
const FORWARDS = STEPS - 1;
/** Prompt tokens, padded. */
const CAPTION_TOKENS = 32;
const JOB_COUNTS = [1_000, 100_000];
const SUBMITS = 100;
const LARGEST_SLOPE = 1.1;
const LARGEST_GROWTH = 1.2;

/** Time and memory against the operations in an image; and what must not grow with the number of jobs. */
export async function measureGrowth(): Promise<void> {
  const keep = (rows: Row[]) =>
    publishMore({
      name: 'growth',
      what: `with the image size (${FORWARDS} forwards and a decode, bundled uint4) and with the number of jobs`,
      rows,
    });
  if (isWanted('images')) await keep(await growthBySize());
  if (isWanted('jobs')) await growthByJobs(keep);
}

async function growthBySize(): Promise<Row[]> {
  const flops: number[] = [];
  const ms: number[][] = SIDES_PX.map(() => []);
  await withBenchEngine(async (engine) => {
    for (const sidePx of SIDES_PX) flops.push(await imageFlops(engine.checkpointDir, sidePx, CAPTION_TOKENS, FORWARDS));
    // the first image of a size allocates memory
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
    figure('memory against operations, 256 to 2048', slope(logs(flops), logs(peaks)), 'slope', { most: 1 }),
    ...SIDES_PX.map((sidePx, i): Row => {
      const note = `${((flops[i] ?? 0) / 1e9).toFixed(0)} GFLOP, ${Math.round((peaks[i] ?? 0) / 1e6)} MB peak`;
      return { label: `${sidePx} x ${sidePx}`, unit: 'ms', ours: ms[i] ?? [], peer: null, must: null, goal: null, note };
    }),
  ];
}

/** Peak memory of an engine process during its second image of a size, in bytes. Each size has its own process, since a process keeps the memory it once took. */
async function peakOf(sidePx: number): Promise<number> {
  let bytes = Number.NaN;
  await withBenchEngine(async (engine) => {
    await engine.generate({ prompt: PROMPT, sidePx, seed: 0, steps: STEPS });
    resetPeak(engine.pid());
    await engine.generate({ prompt: PROMPT, sidePx, seed: 1, steps: STEPS });
    bytes = peakBytes(engine.pid());
  });
  return bytes;
}

/** A server with one job in its database beside servers with more, all with an engine that takes no time. */
async function growthByJobs(keep: (rows: Row[]) => Promise<void>): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const one = await filled(join(folder, '1'), 1);
    for (const count of JOB_COUNTS) {
      const many = await filled(join(folder, String(count)), count);
      await keep(await compareSubmits(many, one, count));
      await keep(await compareStarts(many, one, count));
    }
  });
}

/** A data folder with `count` finished jobs. */
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

async function compareSubmits(manyDir: string, oneDir: string, count: number): Promise<Row[]> {
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

async function compareStarts(manyDir: string, oneDir: string, count: number): Promise<Row[]> {
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

function besideOne(label: string, unit: 'ms' | 'bytes', series: { ours: number[]; peer: number[] }): Row {
  return { label, unit, ours: series.ours, peer: { name: 'with 1 job', series: series.peer }, must: LARGEST_GROWTH, goal: null };
}
