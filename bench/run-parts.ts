import { type Check, checkLine, holds, keepChecks } from './checks.ts';
import { writeReliabilityPage } from './reliability-page.ts';

export interface Part {
  /** How long it takes, in words. */
  about: string;
  measure(): Promise<Check[]>;
  /** Runs only when it is named. */
  onlyByName?: boolean;
}

/**
 * Runs the parts named on the command line, or all, prints each figure with its verdict, and writes `bench/results/COMMAND.json` and `docs/reliability.md`.
 * The process ends with 1 where a limit was not held, with 2 for an unknown part.
 */
export async function runParts(
  command: 'load' | 'fuzz' | 'faults',
  parts: Record<string, Part>,
  named: readonly string[] = process.argv.slice(2),
): Promise<void> {
  const unknown = named.filter((name) => parts[name] === undefined);
  if (unknown.length > 0) {
    const list = Object.entries(parts).map(([name, { about, onlyByName }]) => `  ${name} (${about}${onlyByName === true ? ', only when named' : ''})`);
    console.error(`npm run ${command} -- [PART ...], met ${unknown.join(' ')}. Parts:\n${list.join('\n')}`);
    process.exitCode = 2;
    return;
  }
  for (const [name, { about, measure, onlyByName }] of Object.entries(parts)) {
    if (named.length === 0 ? onlyByName === true : !named.includes(name)) continue;
    console.log(`\n${name} (takes ${about})`);
    const startedAt = performance.now();
    const checks = await measure();
    for (const check of checks) {
      console.log(`  ${checkLine(check)}`);
      if (!holds(check)) process.exitCode = 1;
    }
    await keepChecks(command, name, checks, startedAt);
  }
  await writeReliabilityPage();
}
