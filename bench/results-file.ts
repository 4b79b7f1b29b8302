import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';

/** Where `npm run bench -- NAME` and its like leave what they measured. */
export function resultsFile(name: string): string {
  return join(programDir, 'bench/results', `${name}.json`);
}
