import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';

/** Moments of a job in the server's process. The word before the colon names the transaction, file or message. */
export const serverPoints = [
  ...(['accepted', 'requested-again', 'processing', 'generated', 'completed', 'cancelled', 'failed', 'binned', 'restored'] as const).flatMap(
    (work) => [`${work}:before-commit`, `${work}:after-commit`] as const,
  ),
  'original:before-rename',
  'original:after-rename',
  'upscaled:before-rename',
  'upscaled:after-rename',
  'bin:between-moves',
  'answer:sent',
  'park:before-close',
] as const;

/** Moments between the start of the server's process and its line `ready`, while it repairs what the previous kill left. */
export const startPoints = ['start:temporary-removed', 'start:before-commit', 'start:after-commit', 'start:before-listen'] as const;

/** Moments in the engine's process. `compiling` is the report of its first progress; a file is `opened`, `half-written`, synced and reported `done`. */
export const enginePoints = [
  'engine:compiling',
  'engine:first-step',
  'engine:last-step',
  'engine:decoding',
  'engine:upscaling',
  'engine:opened',
  'engine:half-written',
  'engine:before-sync',
  'engine:after-sync',
  'engine:before-done',
] as const;

export type KillPoint = (typeof serverPoints)[number] | (typeof startPoints)[number] | (typeof enginePoints)[number];
export type Victims = 'server' | 'engine' | 'both';

const killOrderSchema = z.object({
  point: z.enum([...serverPoints, ...startPoints, ...enginePoints]),
  /** Kill when the point is reached for this many times, from 1. */
  occurrence: z.number().int().positive(),
  victims: z.enum(['server', 'engine', 'both']),
  /** An empty file is written here right before the kill. */
  marker: z.string(),
});
export type KillOrder = z.infer<typeof killOrderSchema>;

export const KILL_ORDER_VARIABLE = 'KILL_ORDER';

/** Calls `kill` when the point of the order in the environment is reached; report every point to the returned function. */
export function armTripwire(kill: (victims: Victims) => void): (point: KillPoint) => void {
  const json = process.env[KILL_ORDER_VARIABLE];
  if (json === undefined) return () => {};
  const order = killOrderSchema.parse(JSON.parse(json));
  let left = order.occurrence;
  return (point) => {
    if (point !== order.point || --left !== 0) return;
    writeFileSync(order.marker, '');
    kill(order.victims);
  };
}

/** SIGKILL; if it is this process, nothing runs afterwards. Ignores a process that has already ended. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (thrown) {
    if (errnoCode(thrown) !== 'ESRCH') throw thrown;
  }
}
