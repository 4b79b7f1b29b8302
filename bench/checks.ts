import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { machineName } from './machine.ts';
import { resultsFile } from './results-file.ts';

/** A figure with the limit that it has to hold, if any, and the better one that is aimed at. */
const checkSchema = z.object({
  what: z.string(),
  value: z.number(),
  unit: z.string(),
  least: z.number().optional(),
  most: z.number().optional(),
  goal: z.number().optional(),
});
export type Check = z.infer<typeof checkSchema>;

/** What the parts of a command measured, each on its own day. */
export const partResultsSchema = z.record(
  z.string(),
  z.object({ date: z.string(), machine: z.string(), version: z.string(), node: z.string(), seconds: z.number(), checks: z.array(checkSchema) }),
);
export type PartResults = z.infer<typeof partResultsSchema>;

export function holds({ value, least, most }: Check): boolean {
  return (least === undefined || value >= least) && (most === undefined || value <= most);
}

/** For the page: whether the limit was held and the aim reached. Empty where there is neither. */
export function verdict(check: Check): string {
  const { value, least, most, goal } = check;
  const words = least === undefined && most === undefined ? [] : [holds(check) ? 'yes' : '**no**'];
  // what is to be much has a least, what is to be little has not
  if (goal !== undefined) words.push((least === undefined ? value <= goal : value >= goal) ? 'aim reached' : 'aim not reached');
  return words.join(', ');
}

/** `at least 300, aim 1000`, or nothing. */
export function limitText({ least, most, goal, unit }: Check): string {
  const withUnit = (value: number): string => `${value}${unit === '' ? '' : ` ${unit}`}`;
  return [
    least === undefined ? '' : `at least ${withUnit(least)}`,
    most === undefined ? '' : `at most ${withUnit(most)}`,
    goal === undefined ? '' : `aim ${withUnit(goal)}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/** For the terminal. */
export function checkLine(check: Check): string {
  return `${holds(check) ? '' : 'NOT HELD: '}${check.what}: ${check.value} ${check.unit} ${limitText(check)}`;
}

/** One table a part, in Markdown, with the machine and the day above it. */
export function checkTables(results: PartResults): string[] {
  return Object.entries(results).flatMap(([part, { date, machine, version, node, seconds, checks }]) => [
    `**${part}**, ${date}, ${machine}, version ${version} on Node.js ${node}, in ${seconds} s:`,
    '',
    '| what | measured | limit | held |',
    '|---|---|---|---|',
    ...checks.map((check) => `| ${check.what} | ${check.value.toLocaleString('en')} ${check.unit} | ${limitText(check)} | ${verdict(check)} |`),
    '',
  ]);
}

/** What `bench/results/COMMAND.json` holds; empty before the first run. */
export async function loadChecks(command: string): Promise<PartResults> {
  try {
    return partResultsSchema.parse(JSON.parse(await readFile(resultsFile(command), 'utf8')));
  } catch (thrown) {
    if (errnoCode(thrown) === 'ENOENT') return {};
    throw thrown;
  }
}

/** Keeps what `part` of `command` measured today, beside the other parts; `startedAt` by `performance.now()`. */
export async function keepChecks(command: string, part: string, checks: Check[], startedAt: number, machine = machineName()): Promise<void> {
  // read anew, since another part may have been measured meanwhile
  const results = await loadChecks(command);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  results[part] = { date: new Date().toISOString().slice(0, 10), machine, version: programVersion(), node: process.version, seconds, checks };
  await saveChecks(command, results);
}

async function saveChecks(command: string, results: PartResults): Promise<void> {
  await mkdir(dirname(resultsFile(command)), { recursive: true });
  await writeFile(resultsFile(command), `${JSON.stringify(results, null, 2)}\n`);
}
