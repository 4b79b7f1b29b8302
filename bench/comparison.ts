import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/program-version.ts';
import { machineName } from './machine.ts';
import { median } from './median.ts';
import { percentile } from './percentile.ts';
import { resultsFile } from './results.ts';

/** Our figure beside its peer's, both from one run in which they took turns. */
const comparisonSchema = z.object({
  label: z.string(),
  unit: z.enum(['ms', 'bytes']),
  /** By round; round i of both sides ran next to each other. */
  ours: z.array(z.number()),
  /** Null where a figure has a limit but no peer. */
  peer: z.object({ name: z.string(), series: z.array(z.number()) }).nullable(),
  /** Largest ratio ours / peer that is good enough, and the one to aim at; without a peer, of ours alone in `unit`. */
  must: z.number().nullable(),
  goal: z.number().nullable(),
  /** How near each side is to the float32 reference, in decibels of PSNR. */
  quality: z.object({ reference: z.string(), ours: z.number(), peer: z.number().nullable() }).optional(),
  note: z.string().optional(),
});
export type Comparison = z.infer<typeof comparisonSchema>;

/** What `npm run bench -- NAME` writes for every NAME but `picture`'s own table. */
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
export const comparisonNames = ['block', 'text', 'vae', 'upscale'];

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

/** `undecided` where the middle half of the rounds lies on both sides of the limit. */
export function verdictOf(row: Comparison): 'met' | 'missed' | 'undecided' | 'no limit' {
  if (row.must === null) return 'no limit';
  const ratios = ratiosOf(row);
  if (percentile(ratios, 0.75) <= row.must) return 'met';
  return percentile(ratios, 0.25) > row.must ? 'missed' : 'undecided';
}

/** Writes `bench/results/NAME.json` and prints it. */
export async function publish(results: Omit<ComparisonResults, 'date' | 'machine'>): Promise<void> {
  const whole: ComparisonResults = {
    ...results,
    date: new Date().toISOString().slice(0, 10),
    machine: machineName(),
    versions: { program: programVersion(), node: process.version, ...results.versions },
  };
  await mkdir(join(programDir, 'bench/results'), { recursive: true });
  await writeFile(resultsFile(results.name), `${JSON.stringify(whole, null, 2)}\n`);
  for (const row of whole.rows) console.log(describe(row));
}

/** A figure in the unit of its row. */
export function inUnit(value: number, unit: Comparison['unit']): string {
  if (unit === 'bytes') return `${Math.round(value / 1e6)} MB`;
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : value >= 100 ? `${value.toFixed(0)} ms` : `${value.toPrecision(3)} ms`;
}

function describe(row: Comparison): string {
  const ours = `${row.label}: ours ${inUnit(median(row.ours), row.unit)}`;
  const quality = row.quality === undefined ? '' : `; ${row.quality.ours.toFixed(1)} dB to ${row.quality.reference}`;
  if (row.peer === null) return `${ours}${row.must === null ? '' : `, limit ${inUnit(row.must, row.unit)}: ${verdictOf(row)}`}${quality}`;
  const ratios = ratiosOf(row);
  const spread = `${percentile(ratios, 0.25).toFixed(2)} to ${percentile(ratios, 0.75).toFixed(2)}`;
  const limit = row.must === null ? '' : `, limit ${row.must}: ${verdictOf(row)}`;
  const peerQuality = row.quality?.peer == null ? '' : `, the peer ${row.quality.peer.toFixed(1)} dB`;
  return `${ours}, ${row.peer.name} ${inUnit(median(row.peer.series), row.unit)}, ratio ${median(ratios).toFixed(2)} (${spread}${limit})${quality}${peerQuality}`;
}
