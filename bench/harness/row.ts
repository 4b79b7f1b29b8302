import { z } from 'zod';
import { EXACT_TENSOR_LIMIT } from '#main/parity/comparison.ts';
import { ENOUGH_ROUNDS } from './rounds.ts';
import { median, percentile } from './statistics.ts';

/** One measured figure: our series, a peer's series if there is one, and its limit. */
export const rowSchema = z.object({
  label: z.string(),
  /** `ms`, `bytes`, `levels` (of 8 bits), `slope` (an exponent) and `share` (a part of one) have their own format; other units are printed unchanged. */
  unit: z.string(),
  /** One value per round. Round i of both sides ran next to each other. */
  ours: z.array(z.number()),
  peer: z.object({ name: z.string(), series: z.array(z.number()) }).nullable(),
  /** The limit and the goal: of the ratio ours / peer, or of our value in `unit` without a peer. */
  must: z.number().nullable(),
  goal: z.number().nullable(),
  /** True where `must` and `goal` are lower bounds. */
  isHigherBetter: z.boolean().optional(),
  /** PSNR of each side to the float32 reference in decibels, and our minimum. */
  quality: z.object({ reference: z.string(), ours: z.number(), peer: z.number().nullable(), least: z.number().optional() }).optional(),
  note: z.string().optional(),
});
export type Row = z.infer<typeof rowSchema>;

/** A row of a single value without a peer, with an upper (`most`) or a lower (`least`) limit. */
export function figure(label: string, value: number, unit = '', { most, least, goal }: { most?: number; least?: number; goal?: number } = {}): Row {
  const row: Row = { label, unit, ours: [value], peer: null, must: least ?? most ?? null, goal: goal ?? null };
  return least === undefined ? row : { ...row, isHigherBetter: true };
}

/** Ratios ours / peer of each round; without a peer our values. */
function ratiosOf({ ours, peer }: Row): number[] {
  return ours.map((value, i) => (peer === null ? value : value / (peer.series[i] ?? Number.NaN)));
}

export type Verdict = 'met' | 'missed' | 'undecided' | 'no limit';

/** `undecided` if the middle half of the rounds is on both sides of the limit, or a time has too few rounds. */
export function verdictOf(row: Row): Verdict {
  if (row.must === null) return 'no limit';
  const isSingleFigure = row.peer === null && row.ours.length === 1;
  if (row.unit === 'ms' && row.ours.length < ENOUGH_ROUNDS && !isSingleFigure) return 'undecided';
  const sign = row.isHigherBetter === true ? -1 : 1;
  const ratios = ratiosOf(row).map((ratio) => ratio * sign);
  if (percentile(ratios, 0.75) <= row.must * sign) return 'met';
  return percentile(ratios, 0.25) <= row.must * sign ? 'undecided' : 'missed';
}

/** A value in the unit of its row. */
export function formatValue(value: number, unit: string): string {
  if (unit === 'bytes') return `${Math.round(value / 1e6)} MB`;
  if (unit === 'levels') return `${value.toPrecision(2)} of 255`;
  if (unit === 'share') return `${(value * 100).toPrecision(2)} %`;
  if (unit === 'slope') return value.toFixed(2);
  if (unit !== 'ms') return `${value.toLocaleString('en')} ${unit}`.trimEnd();
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : value >= 100 ? `${value.toFixed(0)} ms` : `${value.toPrecision(3)} ms`;
}

/** `at most 20 ms, goal 10 ms`; empty without either. */
export function limitText({ must, goal, peer, unit, isHigherBetter }: Row): string {
  const format = (value: number) => (peer === null ? formatValue(value, unit) : String(value));
  const limit = must === null ? [] : [`${isHigherBetter === true ? 'at least' : 'at most'} ${format(must)}`];
  return [...limit, ...(goal === null ? [] : [`goal ${format(goal)}`])].join(', ');
}

/** The ratio to the peer with the middle half of its rounds; empty without a peer. */
export function ratioText(row: Row): string {
  if (row.peer === null) return '';
  const ratios = ratiosOf(row);
  const middle = ratios.length < 2 ? '' : ` (${percentile(ratios, 0.25).toFixed(2)} to ${percentile(ratios, 0.75).toFixed(2)})`;
  return `${median(ratios).toFixed(2)}${middle}`;
}

/** Quality and note of a row; empty without either. */
export function remarksOf({ quality, note }: Row): string {
  const remarks = note === undefined ? [] : [note];
  if (quality !== undefined) {
    const { reference, ours, peer, least } = quality;
    const limit = least === undefined ? '' : ` (at least ${least}: ${ours >= least ? 'met' : 'missed'})`;
    remarks.unshift(`ours ${ours.toFixed(1)} dB${limit}${peer === null ? '' : `, the peer ${peer.toFixed(1)} dB`} to ${reference}`);
  }
  return remarks.join('; ');
}

/** One line for the terminal. */
export function describeRow(row: Row): string {
  const parts = [`${row.label}: ${formatValue(median(row.ours), row.unit)}`];
  if (row.peer !== null) parts.push(`${row.peer.name} ${formatValue(median(row.peer.series), row.unit)}`, `ratio ${ratioText(row)}`);
  if (row.must !== null) parts.push(`${limitText(row)}: ${verdictOf(row)}`);
  return [parts.join(', '), remarksOf(row)].filter((part) => part !== '').join('; ');
}

/** For notes: relative differences to float32, and whether the exact graphs are within the limit of `npm run parity`. */
export function parityText({ exact, fast, peer }: { exact: number; fast: number; peer?: number }): string {
  const verdict = exact <= EXACT_TENSOR_LIMIT ? 'met' : '**missed**';
  const ofPeer = peer === undefined ? '' : `, the peer ${peer.toExponential(1)}`;
  return `largest difference to float32 relative to the largest value: exact ${exact.toExponential(1)} (at most ${EXACT_TENSOR_LIMIT}: ${verdict}), fast ${fast.toExponential(1)}${ofPeer}`;
}
