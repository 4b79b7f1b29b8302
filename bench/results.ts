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

export function resultsFile(name: string): string {
  return join(programDir, 'bench/results', `${name}.json`);
}
