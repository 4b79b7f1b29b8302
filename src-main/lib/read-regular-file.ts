import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** The bytes of a regular file. Throws for anything else: to read a pipe or a device could take for ever. */
export function readRegularFile(path: string): Buffer {
  // to open a pipe waits for a writer otherwise; Windows has no such flag
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!fstatSync(file).isFile()) throw Object.assign(new Error(`${path} is not a regular file`), { code: 'not a regular file' });
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}
