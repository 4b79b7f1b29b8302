import { availableParallelism, cpus, totalmem } from 'node:os';

/** A description of this machine: `AMD EPYC, 2 cores, 24 GiB`. */
export function machineName(): string {
  return `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}
