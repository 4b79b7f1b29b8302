import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { lowerPriority } from '#main/engine/lower-priority.ts';

/** A model thread that lowers its priority and reports the priorities of the threads of its process. */

await lowerPriority();
const threads = readdirSync('/proc/self/task').map((id) => ({
  id: Number(id),
  name: readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim(),
  priority: getPriority(Number(id)),
}));
parentPort?.postMessage({ threads });
