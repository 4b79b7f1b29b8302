import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ConvolutionNetwork, StoredFloats } from '#main/lib/compiled.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { entryFile, resourcesDir } from '#main/lib/program-files.ts';
import { readFully } from '#main/lib/read-fully.ts';
import { float32From } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import {
  blocksOf,
  bytesPerPixel,
  convolutionsOf,
  imageAt,
  layOutNetwork,
  layOutPicture,
  type NetworkLayout,
  type PictureLayout,
  scaleOf,
  writeRecords,
} from './layout.ts';
import { type ConvolutionOrder, type ConvolutionThreadData, counters, type Phase, STOP } from './phases.ts';
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

/** A result as planes [3, scale * height, scale * width], about 0 to 1, and as pixels [scale * height, scale * width, 3]. */
export interface Enlarged {
  planes: Float32Array;
  pixels: Uint8Array;
}

/** A network of convolutions, loaded. */
export interface ConvolutionSession {
  readonly bytesPerPixel: number;
  /**
   * Runs it over a picture of `width` x `height`. `fill` writes the picture, pixel after pixel four floats, red, green, blue and 0, in 0 to 1.
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
  const order = (message: ConvolutionOrder): void => {
    for (const worker of workers) worker.postMessage(message);
  };

  let running = false;
  let placed: { width: number; height: number; picture: PictureLayout; phases: Phase[] } | null = null;
  const place = (width: number, height: number): NonNullable<typeof placed> => {
    if (placed?.width === width && placed.height === height) return placed;
    const picture = layOutPicture(network, layout.end, width, height);
    grow(memory, picture.end);
    new Uint8Array(memory.buffer, layout.end).fill(0);
    const phases = phasesOf(network, layout, picture, memory.buffer, width, height);
    order({ phases });
    placed = { width, height, picture, phases };
    return placed;
  };

  return {
    bytesPerPixel: bytesPerPixel(network),
    run: async (width, height, fill, signal) => {
      assertNotCancelled(signal);
      if (running) throw new Error('The convolutions were asked for a second run in the middle of one.');
      const { picture, phases } = place(width, height);
      const { base, row } = imageAt(picture, 0);
      for (let y = 0; y < height; y++) fill(new Float32Array(memory.buffer, base + y * row, 4 * width), y);
      const counts = new Int32Array(memory.buffer, layout.control, counters(phases.length));
      counts.fill(0);
      const watch = setInterval(() => {
        if (signal.cancelled) Atomics.store(counts, STOP, 1);
      }, LOOK_EVERY);
      running = true;
      try {
        const done = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)));
        order('run');
        await Promise.race([Promise.all(done), death]);
      } finally {
        clearInterval(watch);
        running = false;
      }
      assertNotCancelled(signal);
      const values = 3 * width * height * scaleOf(network) ** 2;
      return { planes: new Float32Array(memory.buffer, picture.planes, values), pixels: new Uint8Array(memory.buffer, picture.pixels, values) };
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
    const sentence = `There is not enough memory to enlarge the picture: ${Math.round(bytes / 1e6)} MB are needed for a tile of it. Close other programs.`;
    throw new AppError('engine_out_of_memory', sentence, {}, { cause });
  }
}

/** The layers in turn; the weights of a convolution come to the points just before it, so that those of one layer are there at a time. */
function phasesOf(network: ConvolutionNetwork, layout: NetworkLayout, picture: PictureLayout, memory: ArrayBufferLike, width: number, height: number): Phase[] {
  const records = writeRecords(memory, network, layout, picture, width, height);
  const phases: Phase[] = [];
  for (const layer of network.layers) {
    const [input, output] = [imageAt(picture, layer.input), imageAt(picture, layer.output)];
    const enlargement = network.images[layer.input]?.enlargement ?? 1;
    if (layer.kind === 'enlarge') {
      const { base: from, row: fromRow, pixel } = input;
      phases.push({ kind: 'enlarge', units: height * enlargement, from, fromRow, to: output.base, toRow: output.row, pixel, width: width * enlargement });
      continue;
    }
    const record = records.get(layer) ?? 0;
    phases.push({ kind: 'weights', units: layout.weights.get(layer)?.inChannels ?? 0, record });
    phases.push({ kind: 'convolve', units: blocksOf(width * enlargement, height * enlargement), record });
  }
  const { image, factor, addsPicture } = network.result;
  const enlargement = network.images[image]?.enlargement ?? 1;
  const { base: from, row: fromRow, pixel: fromPixel } = imageAt(picture, image);
  const under = addsPicture ? imageAt(picture, 0) : { base: 0, row: 0, pixel: 0 };
  phases.push({
    kind: 'planes',
    units: height * enlargement,
    ...{ from, fromRow, fromPixel, added: under.base, addedRow: under.row, addedPixel: under.pixel },
    ...{ planes: picture.planes, width: width * enlargement, height: height * enlargement, factor },
  });
  const [wide, high] = [width * scaleOf(network), height * scaleOf(network)];
  phases.push({ kind: 'pixels', units: high, planes: picture.planes, pixels: picture.pixels, width: wide, height: high });
  return phases;
}

/** Brings the weights from [outChannels, inChannels, 3, 3] to where and how the kernels read them. */
async function readWeights(network: ConvolutionNetwork, layout: NetworkLayout, memory: WasmMemory): Promise<void> {
  const floats = new Float32Array(memory.buffer);
  const { path } = network;
  const handle = await open(path).catch((cause: unknown) => {
    throw new AppError('checkpoint_missing', `${path} cannot be opened (${errnoCode(cause)}).`, { path }, { cause });
  });
  try {
    for (const layer of convolutionsOf(network)) {
      const placed = layout.weights.get(layer);
      if (placed === undefined) continue;
      const weights = await readFloats(handle, path, layer.weight);
      const at = placed.weights / 4;
      for (let out = 0; out < layer.outChannels; out++) {
        for (let k = 0; k < layer.inChannels * 9; k++) floats[at + k * placed.outChannels + out] = weights[out * layer.inChannels * 9 + k] ?? 0;
      }
      floats.set(await readFloats(handle, path, layer.bias), placed.bias / 4);
      if (typeof layer.slope === 'number') floats.fill(layer.slope, placed.slopes / 4, placed.slopes / 4 + placed.outChannels);
      else floats.set(await readFloats(handle, path, layer.slope), placed.slopes / 4);
    }
  } finally {
    await handle.close();
  }
}

async function readFloats(handle: FileHandle, path: string, { dtype, offset, count }: StoredFloats): Promise<Float32Array> {
  const length = count * (dtype === 'F32' ? 4 : 2);
  const bytes = await readFully(handle, offset, length);
  if (bytes.length === length) return float32From(dtype, bytes);
  throw new AppError('checkpoint_damaged', `${path} ends before its weights do; download it again.`, { path });
}
