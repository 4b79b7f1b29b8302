import { existsSync, readFileSync } from 'node:fs';

/** Ids of the child processes of `pid`. Linux only; empty elsewhere. */
export function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
}
