import type { GraphTarget } from '#main/lib/compiled.ts';
import type { Accuracy } from './engine.ts';
import type { WorkerConfig } from './protocol.ts';

/** What a device's graphs are compiled for. */
export function graphTarget({ device, gpuPrecision = 'fp16' }: Pick<WorkerConfig, 'device' | 'gpuPrecision'>, accuracy: Accuracy): GraphTarget {
  if (device === 'cpu') return `cpu-${accuracy}`;
  return accuracy === 'exact' ? 'gpu-fp32' : `gpu-${gpuPrecision}`;
}
