import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { constants, getPriority } from 'node:os';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { z } from 'zod';

const messageSchema = z.object({ threads: z.array(z.object({ id: z.number(), name: z.string(), priority: z.number() })) });
const BELOW_NORMAL = constants.priority.PRIORITY_BELOW_NORMAL;

test("the model thread and libuv's pool go below normal, the main thread stays where it was", async ({ skip }) => {
  if (process.platform !== 'linux') skip('priorities of threads are seen on Linux only');
  // the pool is there before the thread is, with the priority of this one
  await readFile(import.meta.filename);
  const thread = new Worker(resolve(import.meta.dirname, '../../tests/fakes/lowered-thread.ts'), { execArgv: [] });
  const [message] = await once(thread, 'message');
  const { threads } = messageSchema.parse(message);
  expect(threads.find(({ id }) => id === process.pid)?.priority).toBe(getPriority(process.pid));
  expect(threads.filter(({ name }) => name === 'libuv-worker').map(({ priority }) => priority)).toEqual(Array(4).fill(BELOW_NORMAL));
  expect(threads.filter(({ name }) => name === 'WorkerThread').map(({ priority }) => priority)).toContain(BELOW_NORMAL);
});
