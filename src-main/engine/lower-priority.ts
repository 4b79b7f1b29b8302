import { readdir, readFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';

/**
 * Puts the model work of this process below normal priority. It costs nothing on an idle machine, and while models keep every core busy the server, the
 * window and the user's other programs stay quick. Linux counts priority by thread, and ONNX Runtime's threads take over that of the one that starts them:
 * to be called in the model thread before it is loaded. Elsewhere it is the whole process.
 */
export async function lowerPriority(): Promise<void> {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  if (process.platform !== 'linux') return;
  // a run through the C API takes place in libuv's pool, whose threads are there since this very reading of a folder at the latest
  const mainName = await nameOf(process.pid);
  for (const thread of (await readdir('/proc/self/task')).map(Number)) {
    if (thread !== process.pid && ['libuv-worker', mainName].includes(await nameOf(thread))) setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  }
}

/** Older versions of libuv leave the threads of the pool the name of the process. Empty where the thread has ended meanwhile. */
async function nameOf(thread: number): Promise<string> {
  const text = await readFile(`/proc/self/task/${thread}/comm`, 'utf8').catch(() => '');
  return text.trim();
}
