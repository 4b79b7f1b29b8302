// Exits with 1 while a server runs from out/: a build would mix old and new files under it.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const notes = resolve(import.meta.dirname, '../out/.in-use');

/** Each server registers in out/.in-use (src-main/studio/note-build-in-use.ts): a file named after its process id with its command line. */
function servers() {
  try {
    return readdirSync(notes).filter(isRunning);
  } catch {
    return []; // no server has run yet
  }
}

function isRunning(pid) {
  const note = join(notes, pid);
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if (error.code !== 'EPERM') {
      rmSync(note, { force: true }); // a server that was killed left it
      return false;
    }
  }
  const written = readFileSync(note);
  try {
    return written.length === 0 || written.equals(readFileSync(`/proc/${pid}/cmdline`));
  } catch {
    return true; // a system without /proc
  }
}

const [pid] = servers();
if (pid !== undefined) {
  console.error(`A server (process ${pid}) runs from out/, so nothing is built there. Stop it, then run this again.`);
  process.exit(1);
}
