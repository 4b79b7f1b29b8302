import type { WasmMemory, WasmModule } from './web-assembly.ts';

/** Given to a thread when it starts. It is sent `Phase[]` to run, and answers with an empty message. */
export interface ConvolutionThreadData {
  module: WasmModule;
  memory: WasmMemory;
  /** Address of the counters, of the thread's own scratch, and how many threads there are. */
  control: number;
  scratch: number;
  threads: number;
}

/** Set to 1, the units that are left are passed over. */
export const STOP = 0;

/** Counters of a phase: the next unit, and how many threads have finished it. */
export function nextUnit(phase: number): number {
  return 1 + 2 * phase;
}

export function arrivals(phase: number): number {
  return 2 + 2 * phase;
}

/** Counters for this many phases. */
export function counters(phases: number): number {
  return 1 + 2 * phases;
}
