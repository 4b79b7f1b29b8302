/** A group of bars, such as one image size. */
export interface BarGroup {
  label: string;
  bars: ReadonlyArray<{ name: string; value: number; text: string }>;
}

const WIDTH = 720;
const LABEL_WIDTH = 110;
const TEXT_WIDTH = 70;
const BAR_HEIGHT = 16;
const GROUP_GAP = 14;
const TOP = 58;
const colours = ['ours', 'peer'] as const;

/** Horizontal bars as an SVG that follows the reader's theme. Every bar has its value as text, so nothing depends on the colours. */
export function barChart(title: string, groups: readonly BarGroup[]): string {
  const longest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)));
  const names = [...new Set(groups.flatMap(({ bars }) => bars.map(({ name }) => name)))];
  const classOf = (name: string) => colours[names.indexOf(name) % colours.length] ?? 'ours';
  const parts: string[] = [];
  let y = TOP;
  for (const { label, bars } of groups) {
    parts.push(text(LABEL_WIDTH - 10, y + (bars.length * BAR_HEIGHT) / 2 + 5, label, 'end'));
    for (const { name, value, text: valueText } of bars) {
      const width = Math.max(2, (value / longest) * (WIDTH - LABEL_WIDTH - TEXT_WIDTH));
      parts.push(`<rect class="${classOf(name)}" x="${LABEL_WIDTH}" y="${y + 1}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" rx="3"/>`);
      parts.push(text(LABEL_WIDTH + width + 8, y + 13, valueText, 'start'));
      y += BAR_HEIGHT;
    }
    y += GROUP_GAP;
  }
  const legend = names.map(
    (name, i) =>
      `<rect class="${classOf(name)}" x="${LABEL_WIDTH + i * 220}" y="34" width="12" height="12" rx="3"/>${text(LABEL_WIDTH + 18 + i * 220, 45, name, 'start')}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" role="img" aria-label="${escapeXml(title)}">
<style>text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:15px}.ours{fill:#0b6b5d}.peer{fill:#b9beb9}@media(prefers-color-scheme:dark){text{fill:#ddd}.ours{fill:#5fceb9}.peer{fill:#5d6662}}</style>
<text class="title" x="${LABEL_WIDTH}" y="20">${escapeXml(title)}</text>
${[...legend, ...parts].join('\n')}
</svg>
`;
}

function text(x: number, y: number, words: string, anchor: 'start' | 'end'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escapeXml(words)}</text>`;
}

function escapeXml(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
