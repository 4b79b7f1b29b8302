import { z } from 'zod';

const KINDS = ['crash', 'hang', 'stall', 'oom', 'garbage', 'nan'] as const;
export type FaultKind = (typeof KINDS)[number];

/**
 * `kind@place`. Place: a step of the denoising loop or a tile of the upscaler, counted from 1, or the name of a stage (at its beginning).
 * - `crash` ends the process with exit code 1; `oom` with 137, as when the system takes it for its memory
 * - `hang` blocks the main thread forever: no heartbeat; `stall` keeps the heartbeat, but the task stops and ignores a cancel
 * - `garbage` sends a message outside the protocol; `nan` fails the task with `latents_not_finite`
 */
export type FaultOrder = `${FaultKind}@${number | 'loading' | 'encoding' | 'decoding' | 'saving'}`;

/** The fake engine's behaviour, set in the environment of its process. */
export const fakeBehaviourSchema = z.object({
  stepMs: z.number().nonnegative(),
  /** Threads that multiply matrices for as long as the process lives, as a model does that has the machine to itself. */
  busyThreads: z.number().int().nonnegative().default(0),
  /** Gets a line `STEP NANOSECONDS` for each denoising step, by the machine's monotonic clock, before the step is reported. */
  traceFile: z.string().optional(),
  /** What goes wrong in the first, second … task that this process gets. */
  faults: z.array(
    z
      .string()
      .regex(new RegExp(`^(${KINDS.join('|')})@(\\d+|loading|encoding|decoding|saving)$`))
      .nullable(),
  ),
});
export type FakeBehaviour = z.infer<typeof fakeBehaviourSchema>;

export const FAKE_ENGINE_VARIABLE = 'FAKE_ENGINE';

/** Kind and place of an order that has passed the schema. */
export function parseFault(order: string): { kind: string; place: string } {
  const [kind = '', place = ''] = order.split('@');
  return { kind, place };
}
