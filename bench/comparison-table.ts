import { type Comparison, type ComparisonResults, inUnit, ratiosOf, verdictOf } from './comparison.ts';
import { median } from './median.ts';
import { percentile } from './percentile.ts';

/** A comparison as a Markdown section. */
export function comparisonTable({ name, what, date, machine, versions, rows }: ComparisonResults): string {
  const rounds = rows[0]?.ours.length ?? 0;
  const used = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  return [
    `### ${name}: ${what}`,
    `\`npm run bench -- ${name}\` on ${date} (${machine}; ${used.join(', ')}; ${rounds} rounds in turns, medians, and the middle half of the ratios).`,
    '',
    '| | ours | peer | ours / peer | limit, goal | verdict | to the float32 reference |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(line),
  ].join('\n');
}

function line(row: Comparison): string {
  const { label, unit, ours, peer, must, goal, quality, note } = row;
  const ratios = ratiosOf(row);
  const spread = `${median(ratios).toFixed(2)} (${percentile(ratios, 0.25).toFixed(2)} to ${percentile(ratios, 0.75).toFixed(2)})`;
  const cells = [
    label,
    inUnit(median(ours), unit),
    peer === null ? '' : `${inUnit(median(peer.series), unit)}, ${peer.name}`,
    peer === null ? '' : spread,
    must === null ? '' : `${must}${goal === null ? '' : `, ${goal}`}`,
    verdictOf(row),
    [qualityText(quality), note].filter((text) => text !== undefined).join('; '),
  ];
  return `| ${cells.join(' | ')} |`;
}

function qualityText(quality: Comparison['quality']): string | undefined {
  if (quality === undefined) return undefined;
  return `ours ${quality.ours.toFixed(1)} dB${quality.peer === null ? '' : `, the peer ${quality.peer.toFixed(1)} dB`} to ${quality.reference}`;
}
