import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { programDir } from './program-files.ts';

/** The version in package.json. */
export function programVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(programDir, 'package.json'), 'utf8'))).version;
}
