import { writeReliabilityPage } from '../reliability-page.ts';
import { publish } from './results.ts';
import { type Row, verdictOf } from './row.ts';

export interface Part {
  /** Its duration. */
  duration: string;
  measure(): Promise<Row[]>;
  /** Runs only if the command line names it. */
  isOptional?: boolean;
}

/**
 * Runs the parts named on the command line, or all; writes `bench/results/COMMAND.json` and `docs/reliability.md`.
 * The process exits with 1 if a limit was missed, with 2 for an unknown part.
 */
export async function runParts(command: string, parts: Record<string, Part>, named: readonly string[] = process.argv.slice(2)): Promise<void> {
  const unknown = named.filter((name) => parts[name] === undefined);
  if (unknown.length > 0) {
    const list = Object.entries(parts).map(([name, { duration, isOptional }]) => `  ${name} (${duration}${isOptional === true ? ', only when named' : ''})`);
    console.error(`Unknown part ${unknown.join(' ')}. Usage: npm run ${command} -- [PART ...]\nParts:\n${list.join('\n')}`);
    process.exitCode = 2;
    return;
  }
  for (const [name, { duration, measure, isOptional }] of Object.entries(parts)) {
    if (named.length === 0 ? isOptional === true : !named.includes(name)) continue;
    console.log(`\n${name} (takes ${duration})`);
    const rows = await measure();
    await publish({ name: command, part: name, what: name, rows });
    if (rows.some((row) => verdictOf(row) === 'missed')) process.exitCode = 1;
  }
  await writeReliabilityPage();
}
