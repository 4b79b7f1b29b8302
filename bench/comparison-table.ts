import { type Comparison, type ComparisonResults, inUnit, qualityText, ratiosOf, verdictOf } from './comparison.ts';
import { median } from './median.ts';
import { percentile } from './percentile.ts';

/** A comparison as a Markdown section. */
export function comparisonTable({ name, what, date, machine, versions, rows }: ComparisonResults): string {
  const used = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  const rounds = Math.max(...rows.map(({ ours }) => ours.length));
  return [
    `### ${name}: ${what}`,
    `\`npm run bench -- ${name}\` on ${date} (${machine}; ${used.join(', ')}; ${rounds} rounds in turns, medians, and the middle half of the ratios).`,
    '',
    '| | ours | peer | ours / peer | limit, goal | verdict | quality, notes |',
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
    [must, goal]
      .filter((limit) => limit !== null)
      .map((limit) => (peer === null ? inUnit(limit, unit) : String(limit)))
      .join(', '),
    verdictOf(row),
    [quality && qualityText(quality), note].filter((text) => text !== undefined).join('; '),
  ];
  return `| ${cells.join(' | ')} |`;
}
