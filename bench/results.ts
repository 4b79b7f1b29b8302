import { join } from 'node:path';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';

/** What `npm run bench -- picture` writes. */
export const pictureResultsSchema = z.object({
  date: z.string(),
  machine: z.string(),
  version: z.string(),
  node: z.string(),
  steps: z.number(),
  /** Milliseconds by round; the peak is of the engine's process up to the end of the last round of this size. */
  sizes: z.array(z.object({ sidePx: z.number(), originalMs: z.array(z.number()), upscaleMs: z.array(z.number()), peakBytes: z.number() })),
});
export type PictureResults = z.infer<typeof pictureResultsSchema>;

/** What `npm run faults` writes: SIGKILL at named points and at random moments, and two clients that hold the server to what was acknowledged. */
export const faultResultsSchema = z.object({
  date: z.string(),
  machine: z.string(),
  version: z.string(),
  node: z.string(),
  rounds: z.number(),
  /** The rounds follow from it. */
  seed: z.number(),
  seconds: z.number(),
  /** What should not have been, each with its round. Empty where all is well. */
  violations: z.array(z.string()),
  /** Kills that happened, by point and by what was killed. */
  kills: z.array(z.object({ point: z.string(), victims: z.enum(['server', 'engine', 'both']), count: z.number() })),
  /** Rounds whose point was not reached: a hole in the test. */
  missed: z.array(z.string()),
  /** Jobs that were acknowledged, and statuses that the clients heard; `replayed` of these came by `since` after a kill. */
  acknowledgedJobs: z.number(),
  statusesHeard: z.number(),
  replayed: z.number(),
  /** Pictures under a final name, each read chunk by chunk and decoded. */
  wholeFiles: z.number(),
});
export type FaultResults = z.infer<typeof faultResultsSchema>;

export function resultsFile(name: string): string {
  return join(programDir, 'bench/results', `${name}.json`);
}
