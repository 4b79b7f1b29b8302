import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { childEnvironment } from '#main/config/child-environment.ts';
import { readCommandOptions } from '#main/config/command-options.ts';
import { findPack, packsDirOf, readPack } from '#main/cuda-pack/pack-folder.ts';
import { createEngine } from '#main/engine/create-engine.ts';
import type { TaskReport } from '#main/engine/engine.ts';
import { detectNvidia, unsupportedReason } from '#main/engine/nvidia.ts';
import { probeInProcess } from '#main/engine/probe-in-process.ts';
import { type Precision, precisions } from '#main/engine/protocol.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { engineConfig } from '#main/studio/engine-config.ts';
import { withLibraries } from '#main/studio/engine-environment.ts';
import { type DeviceName, deviceParts } from '#shared/domain/device.ts';
import { stepFlops } from './flops.ts';
import { paramsOf } from './harness/bench-engine.ts';
import { ensureFullCheckpoint } from './harness/full-checkpoint.ts';
import { machineName } from './harness/machine.ts';
import { publish } from './harness/results.ts';
import { describeRow, figure, type Row } from './harness/row.ts';
import { median, significant } from './harness/statistics.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';
import { startTorchPeer, type TorchPeer } from './harness/torch-peer.ts';

const usage = 'Usage: bash bench/gpu.sh --help';
const optionsSchema = z.object({
  cpu: z.boolean().default(false),
  'no-peer': z.boolean().default(false),
  card: z
    .string()
    .regex(/^\d{1,2}$/, 'a card is a number')
    .default('0'),
  checkpoint: z.string().min(1).optional(),
  libraries: z.string().min(1).optional(),
  python: z.string().min(1).optional(),
});

/** Images per side; of the first one only the loading time counts. */
const IMAGES = 3;
const STEPS = 9;
/** Of the bundled checkpoint's image on a card and on the CPU, of 255. */
const MOST_DIFFERENCE = 4;

/** The measured case and its size. */
interface Case {
  device: DeviceName;
  gpuPrecision: Precision;
  /** The peer's data type. */
  dtype: 'bfloat16' | 'float16' | 'float32';
  checkpointDir: string;
  sidePx: number;
  /** Side of the square product for the reference rate. */
  productSide: number;
  /** Folder of the CUDA libraries, or null if none is needed. */
  libraries: string | null;
}

/** One side's figures: milliseconds of each denoising step and each whole image without loading, and peak bytes. */
interface Figures {
  stepMs: number[];
  imageMs: number[];
  peakBytes: number;
}

async function main(): Promise<void> {
  const options = readCommandOptions(optionsSchema, usage);
  await withTemporaryFolder(async (work) => {
    const test = options.cpu ? cpuCase(options) : await gpuCase(options);
    await loadEveryForm(test, work);
    await probeEveryPrecision(test);
    await compareWithCpu(test, work);
    console.log(`${test.device}, ${test.dtype}, ${test.sidePx} x ${test.sidePx}, ${STEPS} steps, ${test.checkpointDir}`);
    const ours = await measureOurs(test, work);
    const peer = options['no-peer'] ? null : await measurePeer(test, work, options.python);
    const rows = await rowsOf(test, ours, peer);
    const pack = readPack(test.libraries ?? '');
    if (pack !== null) console.log(`CUDA pack ${pack.version} for ONNX Runtime ${pack.onnxruntime}: ${pack.files.map(({ name }) => name).join(', ')}`);
    if (options.cpu) for (const row of rows) console.log(describeRow(row));
    else
      await publish({
        name: 'gpu',
        part: test.device,
        what: 'images of the true sizes on a card',
        machine: `${await cardName(test.device)}; ${machineName()}`,
        rows,
      });
  });
}

function cpuCase({ checkpoint }: z.infer<typeof optionsSchema>): Case {
  const checkpointDir = resolve(checkpoint ?? join(resourcesDir, 'models/storybook-uint4'));
  return { device: 'cpu', gpuPrecision: 'bf16', dtype: 'float32', checkpointDir, sidePx: 256, productSide: 1024, libraries: null };
}

async function gpuCase({ card, checkpoint, libraries }: z.infer<typeof optionsSchema>): Promise<Case> {
  const gpus = await detectNvidia();
  const gpu = gpus[Number(card)];
  if (gpu === undefined) throw new Error(`There is no NVIDIA card ${card}: ${gpus.length} answer. --cpu tries this script without one.`);
  const obstacle = unsupportedReason(gpu);
  if (obstacle !== null) throw new Error(obstacle);
  const pack = findPack(packsDirOf(join(programDir, 'data')), onnxruntimeVersion());
  if (libraries === undefined && pack === null)
    throw new Error('There are no CUDA libraries: run npm run cuda -- install, or name their folder with --libraries.');
  const checkpointDir = resolve(checkpoint ?? join(programDir, '.cache/fullsize/uint4'));
  await mkdir(dirname(checkpointDir), { recursive: true });
  await ensureFullCheckpoint(checkpointDir, 'uint4');
  const isBf16 = Number(gpu.compute_capability) >= 8;
  return {
    device: `cuda:${card}`,
    gpuPrecision: isBf16 ? 'bf16' : 'fp16',
    dtype: isBf16 ? 'bfloat16' : 'float16',
    checkpointDir,
    sidePx: 1024,
    productSide: 8192,
    libraries: libraries === undefined ? pack : resolve(libraries),
  };
}

const bundledDir = join(resourcesDir, 'models/storybook-uint4');

const environmentOf =
  ({ libraries }: Case) =>
  () =>
    libraries === null ? childEnvironment() : withLibraries(childEnvironment(), libraries, process.platform);

/** An engine per precision makes a small image of the bundled checkpoint, so every form of every graph is loaded and run. */
async function loadEveryForm(test: Case, work: string): Promise<void> {
  for (const gpuPrecision of precisions) {
    const startedAt = performance.now();
    const report = await bundledImage({ ...test, gpuPrecision }, join(work, `${gpuPrecision}.png`), work);
    assertRan(report, test.device);
    console.log(`loaded and ran in ${test.device === 'cpu' ? 'float32 on the CPU' : gpuPrecision}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    if (test.device === 'cpu') return;
  }
}

async function probeEveryPrecision(test: Case): Promise<void> {
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: environmentOf(test) });
  for (const precision of test.device === 'cpu' ? (['fp32'] as const) : precisions) {
    const { state, reason, imageSeconds } = await probeInProcess(test.device, precision, { spawn, threads: availableParallelism(), binding: 'auto' });
    console.log(`probe in ${precision}: ${state}. ${reason}${imageSeconds === null ? '' : ` About ${imageSeconds} s an image of 1024 x 1024.`}`);
  }
}

/** The mean difference of the bundled checkpoint's image from the CPU's, of 255. */
async function compareWithCpu(test: Case, work: string): Promise<void> {
  const [onDevice, onCpu] = [join(work, 'device.png'), join(work, 'cpu.png')];
  await bundledImage(test, onDevice, work);
  await bundledImage({ ...test, device: 'cpu', libraries: null }, onCpu, work);
  const [a, b] = [(await decodePng(onDevice)).data, (await decodePng(onCpu)).data];
  const difference = a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length;
  console.log(`the bundled checkpoint's image differs from the CPU's by ${difference.toFixed(2)} of 255 on average`);
  if (!(difference <= MOST_DIFFERENCE)) throw new Error(`The image of ${test.device} is another one: at most ${MOST_DIFFERENCE} is right.`);
}

async function bundledImage(test: Case, outputPath: string, work: string): Promise<TaskReport> {
  const { device, gpuPrecision } = test;
  const engine = createEngine({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: environmentOf(test) }),
    devices: [engineConfig({ device, gpuPrecision, accuracy: 'fast', memory: 'auto', dataDir: work })],
    log: { info: () => {}, warn: (data, message) => console.error(message, data) },
  });
  const params = paramsOf({ prompt: 'an orange cat on a beach', sidePx: 256, seed: 7, steps: STEPS });
  const task = { params, checkpointDir: bundledDir, checkpointIdentity: 'bundled', outputPath, provenance: null };
  try {
    return await engine.generate(task, { onProgress: () => {}, onModelDone: () => {} }, new AbortController().signal);
  } finally {
    await engine.close();
  }
}

/** Whole images by the engine as the server runs it. */
async function measureOurs(test: Case, work: string): Promise<Figures> {
  const { device, gpuPrecision, checkpointDir, sidePx } = test;
  const engine = createEngine({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: environmentOf(test) }),
    devices: [engineConfig({ device, gpuPrecision, accuracy: 'fast', memory: 'auto', dataDir: work })],
    log: { info: () => {}, warn: (data, message) => console.error(message, data) },
  });
  const before = await usedBytes(device);
  const figures: Figures = { stepMs: [], imageMs: [], peakBytes: 0 };
  const watch = setInterval(async () => {
    const used = device === 'cpu' ? engine.status().residentBytes : (await usedBytes(device)) - before;
    figures.peakBytes = Math.max(figures.peakBytes, used);
  }, 500);
  try {
    for (let round = 0; round < IMAGES; round++) {
      const stamps: number[] = [];
      const onProgress = ({ stage, done }: { stage: string; done: number }) => {
        // the last step in the original's count changes nothing and takes no time
        if (stage === 'generating' && done < STEPS) stamps.push(performance.now());
      };
      const task = {
        params: paramsOf({ prompt: `an orange cat on a beach, number ${round}`, sidePx, seed: round, steps: STEPS }),
        checkpointDir,
        checkpointIdentity: createHash('sha256').update(checkpointDir).digest('hex'),
        outputPath: join(work, 'ours.png'),
        provenance: null,
      };
      const startedAt = performance.now();
      const report = await engine.generate(task, { onProgress, onModelDone: () => {} }, new AbortController().signal);
      const ms = performance.now() - startedAt;
      assertRan(report, device);
      if (round === 0) console.log(`ours: compiled and loaded in ${((report.stagesMs.loading ?? 0) / 1000).toFixed(1)} s`);
      else {
        figures.imageMs.push(ms);
        figures.stepMs.push(...gaps(stamps));
      }
    }
    return figures;
  } finally {
    clearInterval(watch);
    await engine.close();
  }
}

/** Throws after a fallback, which would measure something else. */
function assertRan({ device, setbacks, accuracy }: TaskReport, wanted: DeviceName): void {
  if (device !== wanted || setbacks.length > 0)
    throw new Error(`It was to run on ${wanted} and ran on ${device} in accuracy ${accuracy}. ${setbacks.join(' ')}`);
}

interface PeerFigures extends Figures {
  name: string;
  /** Floating point operations per second. */
  productRate: number;
}

/** The same images by diffusers with sdnq, and the rate of PyTorch's own product. */
async function measurePeer({ device, dtype, checkpointDir, sidePx, productSide }: Case, work: string, python: string | undefined): Promise<PeerFigures> {
  const peer: TorchPeer = await startTorchPeer(availableParallelism(), python);
  const on = device === 'cpu' ? 'cpu' : device;
  try {
    const { rate } = z.looseObject({ rate: z.number() }).parse(await peer.ask('product_rate', { side: productSide, dtype, device: on }));
    await peer.ask('open_pipeline', { dir: checkpointDir, dtype, device: on });
    const figures: PeerFigures = { name: `diffusers with sdnq, torch ${peer.versions['torch']}`, productRate: rate, stepMs: [], imageMs: [], peakBytes: 0 };
    for (let round = 0; round < IMAGES; round++) {
      const request = { prompt: `an orange cat on a beach, number ${round}`, width: sidePx, height: sidePx, forwards: STEPS - 1, seed: round };
      const answer = z
        .looseObject({ ms: z.number(), stamps: z.array(z.number()) })
        .parse(await peer.ask('generate', { ...request, png: join(work, 'peer.png') }));
      if (round === 0) continue;
      figures.imageMs.push(answer.ms);
      figures.stepMs.push(...gaps(answer.stamps));
    }
    figures.peakBytes = z.looseObject({ peak: z.number() }).parse(await peer.ask(device === 'cpu' ? 'memory' : 'device_memory', { device: on })).peak;
    return figures;
  } finally {
    await peer.close();
  }
}

async function rowsOf({ device, checkpointDir, sidePx }: Case, ours: Figures, peer: PeerFigures | null): Promise<Row[]> {
  const flops = await stepFlops(checkpointDir, sidePx, CAPTION_TOKENS);
  const gigabytes = (bytes: number) => significant(bytes / 1e9);
  const own: Row[] = [
    figure('a denoising step', significant(median(ours.stepMs)), 'ms'),
    figure('an image, prompt to PNG', significant(median(ours.imageMs)), 'ms'),
    figure('peak memory', gigabytes(ours.peakBytes), 'GB'),
    figure('floating point operations of a step', significant(flops / 1e12), 'T'),
  ];
  if (peer === null) return own;
  const floorMs = (flops / peer.productRate) * 1000;
  const isGpu = deviceParts(device).provider === 'cuda';
  return [
    ...own,
    figure(`rate of the product on this device (${peer.name})`, significant(peer.productRate / 1e12), 'TFLOP/s'),
    figure('a step / the time of its operations at that rate', significant(median(ours.stepMs) / floorMs), '', isGpu ? { most: 1.6, goal: 1.35 } : {}),
    figure(`a step of ${peer.name}`, significant(median(peer.stepMs)), 'ms'),
    figure('a step, ours / the peer', significant(median(ours.stepMs) / median(peer.stepMs))),
    figure('an image of the peer', significant(median(peer.imageMs)), 'ms'),
    figure("the peer's peak memory", gigabytes(peer.peakBytes), 'GB'),
  ];
}

/** The prompts' tokens, padded. */
const CAPTION_TOKENS = 32;

function gaps(stamps: readonly number[]): number[] {
  return stamps.slice(1).map((stamp, i) => stamp - (stamps[i] ?? 0));
}

/** Bytes in use on a card by all programs; 0 for the CPU. */
async function usedBytes(device: DeviceName): Promise<number> {
  if (device === 'cpu') return 0;
  return Number(await askCard(device, 'memory.used')) * 2 ** 20;
}

async function cardName(device: DeviceName): Promise<string> {
  return `${await askCard(device, 'name')}, driver ${await askCard(device, 'driver_version')}`;
}

async function askCard(device: DeviceName, field: string): Promise<string> {
  const query = [`--query-gpu=${field}`, '--format=csv,noheader,nounits', '-i', String(deviceParts(device).card)];
  return (await promisify(execFile)('nvidia-smi', query)).stdout.trim();
}

await main();
