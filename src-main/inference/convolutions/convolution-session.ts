import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Convolution, ConvolutionNetwork, StoredFloats } from '#main/lib/compiled.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { entryFile, resourcesDir } from '#main/lib/program-files.ts';
import { readFully } from '#main/lib/read-fully.ts';
import { float32From } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { FLOAT, imageAt, layOutNetwork, layOutSize, type NetworkLayout, type PlacedWeights, type SizedLayout, sizedBytes } from './layout.ts';
import { type Phase, placedOf, planPanels, planPhases, writeRecords } from './phases.ts';
import { type ConvolutionThreadData, counters, STOP } from './thread-data.ts';
import { type WasmMemory, webAssembly } from './web-assembly.ts';

const PAGE = 64 * 1024;
/** All that addresses of 32 bits reach; taken only as it is used. */
const MOST_PAGES = 65_536;
/** Milliseconds between two looks at a cancel signal. */
const LOOK_EVERY = 5;

const kernelBytes = (): Buffer => readFileSync(join(resourcesDir, 'kernels/convolution.wasm'));

/** Whether this runtime has the instructions that the kernels use: WebAssembly's relaxed SIMD, in Node.js from 21 on. */
export function hasConvolutionKernels(): boolean {
  return webAssembly.validate(kernelBytes());
}

/** A result as planes [3, scale * height, scale * width], and as pixels [scale * height, scale * width, 3]. */
export interface Enlarged {
  planes: Float32Array;
  pixels: Uint8Array;
}

/** A network of convolutions, loaded. */
export interface ConvolutionSession {
  /** What an image takes beside the weights. */
  bytesFor(width: number, height: number): number;
  /**
   * Runs it over an input of `width` x `height`. `fill` writes it row by row, pixel after pixel all channels.
   * What it gives is valid until the next run, which may not begin before this one ends. Throws `cancelled`, `engine_out_of_memory` or `engine_failed`.
   */
  run(width: number, height: number, fill: (row: Float32Array, y: number) => void, signal: CancelSignal): Promise<Enlarged>;
  release(): Promise<void>;
}

/** Reads the weights and starts the threads. Throws `checkpoint_missing`, `checkpoint_damaged` or `engine_out_of_memory`. */
export async function loadConvolutions(network: ConvolutionNetwork, threads: number): Promise<ConvolutionSession> {
  const layout = layOutNetwork(network, threads);
  const memory = new webAssembly.Memory({ initial: pages(layout.end), maximum: MOST_PAGES, shared: true });
  await readWeights(network, layout, memory);
  const module = new webAssembly.Module(kernelBytes());
  const workers = Array.from({ length: threads }, (_, i) => {
    const workerData: ConvolutionThreadData = { module, memory, control: layout.control, scratch: layout.scratch + i * layout.scratchBytes, threads };
    return new Worker(entryFile('inference/convolutions/convolution-thread.ts'), { workerData, execArgv: [] });
  });
  /** The threads wait for each other, so where one has ended none goes on. */
  const death = new Promise<never>((_, reject) => {
    for (const worker of workers) {
      worker.on('error', (cause) => reject(new AppError('engine_failed', `A convolution failed: ${cause.message}`, {}, { cause })));
      worker.on('exit', () => reject(new AppError('engine_failed', 'A thread of the convolutions has ended.', {})));
      worker.unref();
    }
  });
  death.catch(() => {});
  const panels = layout.keepsPanels ? planPanels(network, layout) : [];
  let panelsAreThere = false;
  let running = false;
  let placed: { width: number; height: number; sized: SizedLayout; phases: Phase[] } | null = null;
  const place = (width: number, height: number): NonNullable<typeof placed> => {
    if (placed?.width === width && placed.height === height) return placed;
    const sized = layOutSize(network, layout.end, width, height);
    grow(memory, sized.end);
    writeRecords(memory.buffer, network, layout, sized);
    placed = { width, height, sized, phases: planPhases(network, layout, sized) };
    return placed;
  };

  return {
    bytesFor: (width, height) => sizedBytes(network, width, height),
    run: async (width, height, fill, signal) => {
      assertNotCancelled(signal);
      if (running) throw new Error('The convolutions were asked for a second run in the middle of one.');
      const { sized, phases: phasesOfSize } = place(width, height);
      const phases = panelsAreThere ? phasesOfSize : [...panels, ...phasesOfSize];
      const { base, row, channels } = imageAt(sized, 0);
      for (let y = 0; y < height; y++) fill(new Float32Array(memory.buffer, base + y * row, channels * width), y);
      const counts = new Int32Array(memory.buffer, layout.control, counters(phases.length));
      counts.fill(0);
      const watch = setInterval(() => {
        if (signal.cancelled) Atomics.store(counts, STOP, 1);
      }, LOOK_EVERY);
      running = true;
      try {
        const done = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)));
        for (const worker of workers) worker.postMessage(phases);
        await Promise.race([Promise.all(done), death]);
      } finally {
        clearInterval(watch);
        running = false;
      }
      assertNotCancelled(signal);
      panelsAreThere = true;
      const { planes, pixels, length } = sized;
      return { planes: new Float32Array(memory.buffer, planes, length), pixels: new Uint8Array(memory.buffer, pixels, length) };
    },
    release: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE);
}

function grow(memory: WasmMemory, bytes: number): void {
  const missing = pages(bytes) - memory.buffer.byteLength / PAGE;
  if (missing <= 0) return;
  try {
    memory.grow(missing);
  } catch (cause) {
    const sentence = `There is not enough memory for the convolutions: ${Math.round(bytes / 1e6)} MB are needed. Choose a smaller image or close other programs.`;
    throw new AppError('engine_out_of_memory', sentence, {}, { cause });
  }
}

/** Brings all weights to where and how the kernels read them. */
async function readWeights(network: ConvolutionNetwork, layout: NetworkLayout, memory: WasmMemory): Promise<void> {
  const floats = new Float32Array(memory.buffer);
  const { path } = network;
  const handle = await open(path).catch((cause: unknown) => {
    throw new AppError('checkpoint_missing', `${path} cannot be opened (${errnoCode(cause)}).`, { path }, { cause });
  });
  try {
    for (const layer of network.layers) {
      if (layer.kind === 'enlarge') continue;
      const placed = placedOf(layout, layer);
      turnWeights(floats, placed, await readFloats(handle, path, layer.weight), layer);
      floats.set(await readFloats(handle, path, layer.bias), placed.bias / FLOAT);
      const slopes = floats.subarray(placed.slopes / FLOAT, placed.slopes / FLOAT + placed.outChannels);
      if (typeof layer.slope === 'number') slopes.fill(layer.slope);
      else slopes.set(await readFloats(handle, path, layer.slope));
    }
  } finally {
    await handle.close();
  }
}

/** [outChannels, inChannels, 3, 3] -> [inChannels, 3, 3, outChannels]. */
function turnWeights(floats: Float32Array, placed: PlacedWeights, weights: Float32Array, { inChannels, outChannels }: Convolution): void {
  const at = placed.weights / FLOAT;
  const depth = inChannels * 9;
  for (let out = 0; out < outChannels; out++) {
    for (let k = 0; k < depth; k++) floats[at + k * placed.outChannels + out] = weights[out * depth + k] ?? 0;
  }
}

async function readFloats(handle: FileHandle, path: string, { dtype, offset, count }: StoredFloats): Promise<Float32Array> {
  const length = count * (dtype === 'F32' ? 4 : 2);
  const bytes = await readFully(handle, offset, length);
  if (bytes.length === length) return float32From(dtype, bytes);
  throw new AppError('checkpoint_damaged', `${path} ends before its weights do; download it again.`, { path });
}
