import { readFileSync } from 'node:fs';

/** Descriptors for the database, models, the engine's pipes and requests. With less, a socket more would make them fail. */
export const RESERVED_FILES = 128;

/** How many files and sockets this process may have open. Linux says it; elsewhere Node raises the limit far enough. */
export function maxOpenFiles(read: () => string = () => readFileSync('/proc/self/limits', 'utf8')): number {
  try {
    const limit = Number(/^Max open files +(\d+)/m.exec(read())?.[1] ?? Number.POSITIVE_INFINITY);
    // below that the program could not work, whatever is left for sockets
    return Math.max(limit, RESERVED_FILES + 16);
  } catch {
    // a system without /proc
    return Number.POSITIVE_INFINITY;
  }
}
