import { readdir, readFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';

/**
 * Puts the model work of this process below normal priority. It costs nothing on an idle machine; while models keep every core busy, the window and the
 * user's other programs stay quick. On Linux each thread has a priority, and ONNX Runtime's threads inherit that of the thread that starts them: call it in
 * the model thread before the library is loaded. Elsewhere it is that of the whole process.
 */
export async function lowerPriority(): Promise<void> {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  if (process.platform !== 'linux') return;
  // a run through the C API takes place in libuv's pool, whose threads exist once this folder is read
  const mainName = await nameOf(process.pid);
  for (const thread of (await readdir('/proc/self/task')).map(Number)) {
    if (thread !== process.pid && ['libuv-worker', mainName].includes(await nameOf(thread))) setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  }
}

/** Older versions of libuv give the threads of the pool the name of the process. Empty if the thread has ended meanwhile. */
async function nameOf(thread: number): Promise<string> {
  const text = await readFile(`/proc/self/task/${thread}/comm`, 'utf8').catch(() => '');
  return text.trim();
}
