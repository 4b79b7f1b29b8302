import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { EXACT_TENSOR_LIMIT } from '#main/parity/comparison.ts';
import { machineName } from './machine.ts';
import { median } from './median.ts';
import { percentile } from './percentile.ts';
import { resultsFile } from './results-file.ts';

/** Our figure beside its peer's, both from one run in which they took turns. */
const comparisonSchema = z.object({
  label: z.string(),
  /** `levels` are those of 8 bits, 0 to 255; `slope` is an exponent, `share` a part of one. */
  unit: z.enum(['ms', 'bytes', 'levels', 'slope', 'share']),
  /** By round; round i of both sides ran next to each other. */
  ours: z.array(z.number()),
  /** Null where a figure has a limit but no peer. */
  peer: z.object({ name: z.string(), series: z.array(z.number()) }).nullable(),
  /** Largest ratio ours / peer that is good enough, and the one to aim at; without a peer, of ours alone in `unit`. */
  must: z.number().nullable(),
  goal: z.number().nullable(),
  /** How near each side is to the float32 reference, in decibels of PSNR, and how near ours must be. */
  quality: z.object({ reference: z.string(), ours: z.number(), peer: z.number().nullable(), least: z.number().optional() }).optional(),
  note: z.string().optional(),
});
export type Comparison = z.infer<typeof comparisonSchema>;

/** What `npm run bench -- NAME` writes for every NAME of `comparisonNames`; `picture` has it beside its own table. */
export const comparisonResultsSchema = z.object({
  name: z.string(),
  what: z.string(),
  date: z.string(),
  machine: z.string(),
  versions: z.record(z.string(), z.string()),
  rows: z.array(comparisonSchema),
});
export type ComparisonResults = z.infer<typeof comparisonResultsSchema>;

/** In the order of the page, which has marks for each. */
export const comparisonNames = [
  'block',
  'block-floor',
  'text',
  'vae',
  'upscale',
  'seam',
  'start',
  'load',
  'binding',
  'overhead',
  'png',
  'queue',
  'repeat',
  'growth',
];

/** Fewer give no verdict on a time. */
const ENOUGH_ROUNDS = 5;

/** Timed rounds of a comparison: 5, or what BENCH_ROUNDS says for a quick try. */
export const ROUNDS = roundsToRun(process.env['BENCH_ROUNDS'] ?? String(ENOUGH_ROUNDS));

function roundsToRun(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new Error(`BENCH_ROUNDS is ${JSON.stringify(text)}; it may be a whole number from 1 to 999.`);
  return Number(text);
}

/** One side of a comparison: a run's time in milliseconds, or its bytes. */
export type Run = (round: number) => Promise<number>;

/** A warm-up each, then rounds in the order A B, B A, A B, ...: what disturbs the machine for a while disturbs both. */
export async function takeTurns(rounds: number, ours: Run, peer: Run): Promise<{ ours: number[]; peer: number[] }> {
  await ours(0);
  await peer(0);
  const series = { ours: [] as number[], peer: [] as number[] };
  for (let round = 1; round <= rounds; round++) {
    if (round % 2 === 1) series.ours.push(await ours(round));
    series.peer.push(await peer(round));
    if (round % 2 === 0) series.ours.push(await ours(round));
  }
  return series;
}

/** Ratios ours / peer round by round; without a peer ours alone. */
export function ratiosOf({ ours, peer }: Comparison): number[] {
  return ours.map((value, i) => (peer === null ? value : value / (peer.series[i] ?? Number.NaN)));
}

/** `undecided` where the middle half of the rounds lies on both sides of the limit, or a time was taken too seldom. */
export function verdictOf(row: Comparison): 'met' | 'missed' | 'undecided' | 'no limit' {
  if (row.must === null) return 'no limit';
  if (row.unit === 'ms' && row.ours.length < ENOUGH_ROUNDS) return 'undecided';
  const ratios = ratiosOf(row);
  if (percentile(ratios, 0.75) <= row.must) return 'met';
  return percentile(ratios, 0.25) > row.must ? 'missed' : 'undecided';
}

export type NewComparison = Omit<ComparisonResults, 'date' | 'machine'>;

/** Where a comparison is kept. `npm run load` has `load.json`. */
export function comparisonFile(name: string): string {
  return resultsFile(name === 'load' ? 'load-memory' : name);
}

/** Writes `bench/results/NAME.json` and prints it. */
export async function publish(results: NewComparison): Promise<void> {
  const whole = dated(results);
  await save(whole);
  for (const row of whole.rows) console.log(describe(row));
}

/**
 * The same for rows that take long: adds them to those that this day's run measured before on this machine with these versions, so that a run that is ended
 * loses nothing. A row with a label that is there already takes its place.
 */
export async function publishRows(results: NewComparison): Promise<void> {
  const whole = dated(results);
  const isOfThisRun = ({ date, machine, versions }: ComparisonResults) =>
    isDeepStrictEqual([date, machine, versions], [whole.date, whole.machine, whole.versions]);
  const kept = existsSync(comparisonFile(results.name))
    ? comparisonResultsSchema.parse(JSON.parse(await readFile(comparisonFile(results.name), 'utf8')))
    : whole;
  const others = isOfThisRun(kept) ? kept.rows.filter(({ label }) => !whole.rows.some((row) => row.label === label)) : [];
  await save({ ...whole, rows: [...others, ...whole.rows] });
  for (const row of whole.rows) console.log(describe(row));
}

/** Whether the command line asks for the row or part: `npm run bench -- vae 1024` is for all whose label has `1024` in it, no word for all. */
export function isWanted(label: string, word = process.argv[3]): boolean {
  return word === undefined || label.includes(word);
}

async function save(whole: ComparisonResults): Promise<void> {
  await mkdir(join(programDir, 'bench/results'), { recursive: true });
  await writeFile(comparisonFile(whole.name), `${JSON.stringify(whole, null, 2)}\n`);
}

/** With what the figures of this moment were made by and on. */
export function dated(results: NewComparison): ComparisonResults {
  return {
    ...results,
    date: new Date().toISOString().slice(0, 10),
    machine: machineName(),
    versions: { program: programVersion(), node: process.version, ...results.versions },
  };
}

/** A figure in the unit of its row. */
export function inUnit(value: number, unit: Comparison['unit']): string {
  if (unit === 'bytes') return `${Math.round(value / 1e6)} MB`;
  if (unit === 'levels') return `${value.toPrecision(2)} of 255`;
  if (unit === 'share') return `${(value * 100).toPrecision(2)} %`;
  if (unit === 'slope') return value.toFixed(2);
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : value >= 100 ? `${value.toFixed(0)} ms` : `${value.toPrecision(3)} ms`;
}

/** One line for the terminal. */
export function describe(row: Comparison): string {
  const ours = `${row.label}: ours ${inUnit(median(row.ours), row.unit)}`;
  const quality = row.quality === undefined ? '' : `; ${qualityText(row.quality)}`;
  if (row.peer === null) return `${ours}${row.must === null ? '' : `, limit ${inUnit(row.must, row.unit)}: ${verdictOf(row)}`}${quality}`;
  const ratios = ratiosOf(row);
  const spread = `${percentile(ratios, 0.25).toFixed(2)} to ${percentile(ratios, 0.75).toFixed(2)}`;
  const limit = row.must === null ? '' : `, limit ${row.must}: ${verdictOf(row)}`;
  return `${ours}, ${row.peer.name} ${inUnit(median(row.peer.series), row.unit)}, ratio ${median(ratios).toFixed(2)} (${spread}${limit})${quality}`;
}

/** `relative` differences to float32 for the notes, and whether the exact graphs hold the limit of `npm run parity`. */
export function parityText({ exact, fast, peer }: { exact: number; fast: number; peer?: number }): string {
  const verdict = exact <= EXACT_TENSOR_LIMIT ? 'held' : '**not held**';
  const ofPeer = peer === undefined ? '' : `, the peer ${peer.toExponential(1)}`;
  return `largest difference to float32 by the largest value: exact ${exact.toExponential(1)} (at most ${EXACT_TENSOR_LIMIT}: ${verdict}), fast ${fast.toExponential(1)}${ofPeer}`;
}

export function qualityText({ reference, ours, peer, least }: NonNullable<Comparison['quality']>): string {
  const limit = least === undefined ? '' : ` (at least ${least}: ${ours >= least ? 'held' : 'not held'})`;
  return `ours ${ours.toFixed(1)} dB${limit}${peer === null ? '' : `, the peer ${peer.toFixed(1)} dB`} to ${reference}`;
}
