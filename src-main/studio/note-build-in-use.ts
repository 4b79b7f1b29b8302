import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isBuilt, programDir } from '#main/lib/program-files.ts';

/**
 * Notes that this process serves what is built in `out/`, so that nothing builds over it (`scripts/assert-not-served.mjs`). The note holds this process's
 * command line, since a later process may have the same pid. Returns the function that removes the note.
 */
export function noteBuildInUse(): () => void {
  if (!isBuilt) return () => {};
  const note = join(programDir, 'out/.in-use', String(process.pid));
  try {
    mkdirSync(join(programDir, 'out/.in-use'), { recursive: true });
    writeFileSync(note, commandLine());
  } catch {
    // a folder that cannot be written, such as an installed package, is not built into either
    return () => {};
  }
  return () => rmSync(note, { force: true });
}

/** Empty where the system has no such file. */
function commandLine(): Uint8Array {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    return new Uint8Array();
  }
}
