import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { machineName } from './machine.ts';
import { describeRow, type Row, rowSchema } from './row.ts';

const measuredSchema = z.object({
  what: z.string(),
  date: z.string(),
  machine: z.string(),
  versions: z.record(z.string(), z.string()),
  rows: z.array(rowSchema),
});
/** The measurements of one part of a command in one run. */
export type Measured = z.infer<typeof measuredSchema>;

/** A results file: the latest measurements of each part of a command. */
const resultsSchema = z.record(z.string(), measuredSchema);
export type Results = z.infer<typeof resultsSchema>;

/** Results of `npm run bench -- NAME`, `npm run load`, … */
function resultsFile(name: string): string {
  return join(programDir, 'bench/results', `${name}.json`);
}

/** The content of `bench/results/NAME.json`; empty before the first run. */
export async function loadResults(name: string): Promise<Results> {
  return existsSync(resultsFile(name)) ? resultsSchema.parse(JSON.parse(await readFile(resultsFile(name), 'utf8'))) : {};
}

interface NewResults {
  /** The results file: `bench/results/NAME.json`. */
  name: string;
  /** `name` if a command has only one part. */
  part?: string;
  what: string;
  versions?: Record<string, string>;
  machine?: string;
  rows: Row[];
}

/** Prints the rows and replaces the part's earlier ones. */
export async function publish({ name, part = name, what, versions = {}, machine = machineName(), rows }: NewResults): Promise<void> {
  for (const row of rows) console.log(`  ${describeRow(row)}`);
  // read again, since another part may have been measured meanwhile
  const results = await loadResults(name);
  const date = new Date().toISOString().slice(0, 10);
  results[part] = { what, date, machine, versions: { program: programVersion(), node: process.version, ...versions }, rows };
  await mkdir(dirname(resultsFile(name)), { recursive: true });
  await writeFile(resultsFile(name), `${JSON.stringify(results, null, 2)}\n`);
}

/**
 * The same for slow rows: keeps rows that were measured earlier on this day and machine with these versions, so that a stopped run loses nothing. A row
 * replaces an earlier one with the same label.
 */
export async function publishMore(added: NewResults): Promise<void> {
  const { name, part = name, versions = {}, rows } = added;
  const earlier = (await loadResults(name))[part];
  const thisRun = [new Date().toISOString().slice(0, 10), machineName(), { program: programVersion(), node: process.version, ...versions }];
  const isSameRun = earlier !== undefined && isDeepStrictEqual([earlier.date, earlier.machine, earlier.versions], thisRun);
  const others = isSameRun ? earlier.rows.filter(({ label }) => !rows.some((row) => row.label === label)) : [];
  await publish({ ...added, rows: [...others, ...rows] });
}
