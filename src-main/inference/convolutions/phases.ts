import type { WasmMemory, WasmModule } from './web-assembly.ts';

/** A run in phases: every thread takes the next unit of a phase until none is left, and waits until all threads are there before the next one begins. */

/** What is done in a phase, unit by unit, with the kernels' arguments (`kernels/convolution.ts`). */
export type Phase =
  | { kind: 'weights'; units: number; record: number }
  | { kind: 'convolve'; units: number; record: number }
  | { kind: 'enlarge'; units: number; from: number; fromRow: number; to: number; toRow: number; pixel: number; width: number }
  | { kind: 'pixels'; units: number; planes: number; pixels: number; width: number; height: number }
  | {
      kind: 'planes';
      units: number;
      from: number;
      fromRow: number;
      fromPixel: number;
      added: number;
      addedRow: number;
      addedPixel: number;
      planes: number;
      width: number;
      height: number;
      factor: number;
    };

/** Given to a thread when it starts. */
export interface ConvolutionThreadData {
  module: WasmModule;
  memory: WasmMemory;
  /** Address of the counters, of the thread's own scratch, and how many threads there are. */
  control: number;
  scratch: number;
  threads: number;
}

/** New phases for another size of picture, or the order to run the last ones; the answer to a run is an empty message. */
export type ConvolutionOrder = { phases: Phase[] } | 'run';

/** Set to 1, the units that are left are passed over. */
export const STOP = 0;

/** Of a phase: the next unit, and how many threads have come to its end. */
export function nextUnit(phase: number): number {
  return 1 + 2 * phase;
}

export function arrivals(phase: number): number {
  return 2 + 2 * phase;
}

/** Counters of so many phases. */
export function counters(phases: number): number {
  return 1 + 2 * phases;
}
