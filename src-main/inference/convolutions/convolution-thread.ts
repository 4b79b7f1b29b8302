import { parentPort, workerData } from 'node:worker_threads';
import { firstTileOf } from './layout.ts';
import { arrivals, type ConvolutionOrder, type ConvolutionThreadData, nextUnit, type Phase, STOP } from './phases.ts';
import { webAssembly } from './web-assembly.ts';

/** The exports of `kernels/convolution.ts`. */
interface Kernels {
  transformWeights(record: number, channel: number, scratch: number): void;
  convolve(record: number, firstTile: number, scratch: number): void;
  enlargeRow(from: number, fromRow: number, to: number, toRow: number, pixel: number, width: number, y: number): void;
  pixelsRow(planes: number, pixels: number, width: number, height: number, y: number): void;
  planesRow(
    from: number,
    fromRow: number,
    fromPixel: number,
    added: number,
    addedRow: number,
    addedPixel: number,
    planes: number,
    width: number,
    height: number,
    factor: number,
    y: number,
  ): void;
}

const { module, memory, control, scratch, threads }: ConvolutionThreadData = workerData;
const kernels = new webAssembly.Instance(module, { env: { memory } }).exports as Kernels;
const counts = new Int32Array(memory.buffer, control);
let phases: Phase[] = [];

parentPort?.on('message', (order: ConvolutionOrder) => {
  if (order !== 'run') {
    phases = order.phases;
    return;
  }
  for (const [i, phase] of phases.entries()) {
    const work = workOf(phase);
    while (Atomics.load(counts, STOP) === 0) {
      const unit = Atomics.add(counts, nextUnit(i), 1);
      if (unit >= phase.units) break;
      work(unit);
    }
    waitForAll(arrivals(i));
  }
  parentPort?.postMessage(null);
});

function workOf(phase: Phase): (unit: number) => void {
  switch (phase.kind) {
    case 'weights':
      return (channel) => kernels.transformWeights(phase.record, channel, scratch);
    case 'convolve':
      return (block) => kernels.convolve(phase.record, firstTileOf(block), scratch);
    case 'enlarge':
      return (y) => kernels.enlargeRow(phase.from, phase.fromRow, phase.to, phase.toRow, phase.pixel, phase.width, y);
    case 'pixels':
      return (y) => kernels.pixelsRow(phase.planes, phase.pixels, phase.width, phase.height, y);
    case 'planes': {
      const { from, fromRow, fromPixel, added, addedRow, addedPixel, planes, width, height, factor } = phase;
      return (y) => kernels.planesRow(from, fromRow, fromPixel, added, addedRow, addedPixel, planes, width, height, factor, y);
    }
  }
}

function waitForAll(arrived: number): void {
  if (Atomics.add(counts, arrived, 1) + 1 === threads) {
    Atomics.notify(counts, arrived);
    return;
  }
  for (let seen = Atomics.load(counts, arrived); seen < threads; seen = Atomics.load(counts, arrived)) Atomics.wait(counts, arrived, seen);
}
