import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCode } from './errno-code.ts';

/**
 * Creates `dir` and the folders above it that are missing, with `mode` less the process's mask. Throws the system's error.
 * Node's own recursive mkdir never returns where a folder that is there takes no new ones, as /proc.
 */
export function makeFolder(dir: string, mode = 0o777): void {
  if (isFolder(dir)) return;
  const parent = dirname(dir);
  if (parent !== dir) makeFolder(parent, mode);
  try {
    mkdirSync(dir, { mode });
  } catch (thrown) {
    // another process may have been faster
    if (errnoCode(thrown) !== 'EEXIST' || !isFolder(dir)) throw thrown;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
