import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';
import { benches } from './benches.ts';

/** Every benchmark in a process of its own, one after the other. Goes on after one that fails; the process then ends with 1. */
export function measureAll(): void {
  const failed: string[] = [];
  let minutesLeft = Object.values(benches).reduce((sum, { minutes }) => sum + minutes, 0);
  for (const [name, { what, minutes }] of Object.entries(benches)) {
    console.log(`\n${name}: ${what} (about ${minutes} min; ${minutesLeft} min to the end)`);
    const { status } = spawnSync(process.execPath, [join(programDir, 'bench/main.ts'), name], { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) failed.push(name);
    minutesLeft -= minutes;
  }
  if (failed.length === 0) return;
  console.error(`\nfailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
