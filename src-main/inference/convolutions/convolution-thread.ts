import { parentPort, workerData } from 'node:worker_threads';
import type { Kernels, Phase } from './phases.ts';
import { arrivals, type ConvolutionThreadData, nextUnit, STOP } from './thread-data.ts';
import { webAssembly } from './web-assembly.ts';

/** Every thread takes the next unit of a phase until none is left, and waits until all threads are there before the next phase begins. */

const { module, memory, control, scratch, threads }: ConvolutionThreadData = workerData;
const kernels = new webAssembly.Instance(module, { env: { memory } }).exports as Kernels;
const counts = new Int32Array(memory.buffer, control);

parentPort?.on('message', (phases: Phase[]) => {
  for (const [i, { kernel, units, step, args }] of phases.entries()) {
    while (Atomics.load(counts, STOP) === 0) {
      const unit = Atomics.add(counts, nextUnit(i), 1);
      if (unit >= units) break;
      kernels[kernel](...args, unit * step, scratch);
    }
    waitForAll(arrivals(i));
  }
  parentPort?.postMessage(null);
});

/** Looks before a thread sleeps: waking takes longer than most waits. */
const LOOKS = 3000;

function waitForAll(arrived: number): void {
  if (Atomics.add(counts, arrived, 1) + 1 === threads) {
    Atomics.notify(counts, arrived);
    return;
  }
  for (let looks = 0; looks < LOOKS; looks++) if (Atomics.load(counts, arrived) === threads) return;
  for (let seen = Atomics.load(counts, arrived); seen < threads; seen = Atomics.load(counts, arrived)) Atomics.wait(counts, arrived, seen);
}
