import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';
import { type BarGroup, barChart } from './bar-chart.ts';
import { loadResults, type Measured } from './harness/results.ts';
import { formatValue, limitText, type Row, ratioText, remarksOf, verdictOf } from './harness/row.ts';
import { median } from './harness/statistics.ts';

/** Benchmarks with a section in `docs/performance.md`, in the order of the page. */
export const performanceSections = [
  'picture',
  'block',
  'text',
  'vae',
  'upscale',
  'edits',
  'start',
  'memory',
  'binding',
  'overhead',
  'png',
  'queue',
  'growth',
  'main-thread',
  'window',
];

/**
 * Writes the measured figures between their markers: the summaries into both READMEs, all rows into `docs/performance.md`, downloads and the full size into
 * `docs/models.md`, repeated images into `docs/provenance.md`. Reports missing results and leaves their places unchanged.
 */
export async function writeReport(): Promise<void> {
  for (const name of performanceSections) await report(name, 'docs/performance.md', measuredTable);
  for (const name of ['downloads', 'fullsize']) await report(name, 'docs/models.md', measuredTable);
  await report('repeat', 'docs/provenance.md', measuredTable);
  for (const language of ['en', 'zh'] as const) {
    const file = language === 'en' ? 'README.md' : 'README.zh-CN.md';
    for (const [name, text] of Object.entries(readme[language])) await report(name, file, (_name, _part, measured) => text(measured));
  }
  await writeCharts();
}

/** The times of the images as bars, for README and `docs/performance.md`. */
async function writeCharts(): Promise<void> {
  const [measured] = Object.values(await loadResults('picture'));
  if (measured === undefined) return;
  const groups = measured.rows.flatMap(({ label, ours, peer }): BarGroup[] => {
    if (!label.endsWith(': original') || peer === null) return [];
    const bar = (name: string, series: readonly number[]) => ({ name, value: median(series), text: `${seconds(series)} s` });
    return [{ label: label.replace(': original', '').replace('x', ' × '), bars: [bar('this app', ours), bar('diffusers with sdnq', peer.series)] }];
  });
  await writeFile(join(programDir, 'docs/images/time-per-image.svg'), barChart('Seconds for an image of the demo model, 9 steps', groups));
}

async function report(name: string, file: string, text: (name: string, part: string, measured: Measured) => string): Promise<void> {
  const parts = Object.entries(await loadResults(name));
  if (parts.length === 0) return console.log(`${name}: not measured yet; npm run bench -- ${name} measures it`);
  await replaceBetweenMarks(file, name, parts.map(([part, measured]) => text(name, part, measured)).join('\n\n'));
}

async function replaceBetweenMarks(file: string, name: string, text: string): Promise<void> {
  const path = join(programDir, file);
  const before = await readFile(path, 'utf8');
  const [startMark, endMark] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const [start, end] = [before.indexOf(startMark), before.indexOf(endMark)];
  if (start < 0 || end < start) throw new Error(`${file} must contain the marks ${startMark} and ${endMark}`);
  await writeFile(path, `${before.slice(0, start + startMark.length)}\n${text}\n${before.slice(end)}`);
}

/** A part's results as a Markdown section. */
function measuredTable(name: string, part: string, measured: Measured): string {
  return [`### ${part}: ${measured.what}`, `\`npm run bench -- ${name}\` on ${runText(measured)}.`, '', ...rowTable(measured.rows)].join('\n');
}

export function runText({ date, machine, versions, rows }: Measured): string {
  const programs = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  const rounds = Math.max(1, ...rows.map(({ ours }) => ours.length));
  return `${date} (${machine}; ${programs.join(', ')}${rounds === 1 ? '' : `; medians of ${rounds} rounds in turns, with the middle half of the ratios`})`;
}

/** Rows as a Markdown table; columns that no row needs are left out. */
export function rowTable(rows: readonly Row[]): string[] {
  const columns: [string, (row: Row) => string][] = [
    ['', ({ label }) => label],
    ['measured', ({ ours, unit }) => formatValue(median(ours), unit)],
    ['peer', ({ peer, unit }) => (peer === null ? '' : `${formatValue(median(peer.series), unit)}, ${peer.name}`)],
    ['ratio', ratioText],
    ['limit', limitText],
    ['verdict', (row) => (row.must === null ? '' : verdictOf(row) === 'missed' ? '**missed**' : verdictOf(row))],
    ['notes', remarksOf],
  ];
  const used = columns.filter(([, text], i) => i < 2 || rows.some((row) => text(row) !== ''));
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(used.map(([title]) => title)), `|${'---|'.repeat(used.length)}`, ...rows.map((row) => line(used.map(([, text]) => text(row))))];
}

const seconds = (series: readonly number[]) => (median(series) / 1000).toFixed(1);
const gigabytes = (series: readonly number[]) => (median(series) / 1e9).toFixed(2);

/** The READMEs' text for a result. */
const readme: Record<'en' | 'zh', Record<string, (measured: Measured) => string>> = {
  en: {
    picture: (measured) =>
      [
        `Measured with \`npm run bench -- picture\` on ${measured.date} (${measured.machine}; bundled uint4 checkpoint, 9 steps, accuracy fast, medians; diffusers with sdnq in its fastest form, in turns with ours):`,
        '',
        '| image | original | the same with diffusers | then its 4× version | peak memory of the engine |',
        '|---|---|---|---|---|',
        ...imageLines(measured, 's'),
      ].join('\n'),
    start: ({ date, rows: [warm, cold] }) =>
      `From starting the server to its first 256 × 256 image: ${seconds(warm?.ours ?? [])} s, on the very first start ${seconds(cold?.ours ?? [])} s (FastAPI with diffusers and sdnq: ${seconds(warm?.peer?.series ?? [])} s; \`npm run bench -- start\` on ${date}).`,
    memory: ({ date, rows }) =>
      `A quarter of the real model, loaded, server included: ${gigabytes(rows.at(-1)?.ours ?? [])} GB (FastAPI with diffusers and sdnq: ${gigabytes(rows.at(-1)?.peer?.series ?? [])} GB; \`npm run bench -- memory\` on ${date}).`,
  },
  zh: {
    picture: (measured) =>
      [
        `由 \`npm run bench -- picture\` 于 ${measured.date} 测得（${measured.machine}；内置 uint4 模型，9 步，fast 精度，中位数；diffusers 与 sdnq 取最快的形式，与本程序轮流运行）：`,
        '',
        '| 图像 | 原图 | 同图用 diffusers | 再 4 倍超分 | 引擎内存峰值 |',
        '|---|---|---|---|---|',
        ...imageLines(measured, '秒'),
      ].join('\n'),
    start: ({ date, rows: [warm, cold] }) =>
      `从启动服务器到第一张 256 × 256 图像：${seconds(warm?.ours ?? [])} 秒，首次启动 ${seconds(cold?.ours ?? [])} 秒（FastAPI 加 diffusers 与 sdnq：${seconds(warm?.peer?.series ?? [])} 秒；\`npm run bench -- start\`，${date}）。`,
    memory: ({ date, rows }) =>
      `载入四分之一大小的真实模型后，连同服务器共占 ${gigabytes(rows.at(-1)?.ours ?? [])} GB（FastAPI 加 diffusers 与 sdnq：${gigabytes(rows.at(-1)?.peer?.series ?? [])} GB；\`npm run bench -- memory\`，${date}）。`,
  },
};

/** Lines of the README's table from the rows that `picture.ts` writes for each size. */
function imageLines({ rows }: Measured, unit: string): string[] {
  const sizes = rows.filter(({ label }) => label.endsWith(': original'));
  return sizes.map(({ label, ours, peer }) => {
    const size = label.replace(': original', '');
    const seriesOf = (what: string) => rows.find((row) => row.label === `${size}: ${what}`)?.ours ?? [];
    const ofPeer = peer === null ? '' : `${seconds(peer.series)} ${unit}`;
    return `| ${size.replace('x', '×')} | ${seconds(ours)} ${unit} | ${ofPeer} | ${seconds(seriesOf('4x version'))} ${unit} | ${gigabytes(seriesOf('peak memory of the engine'))} GB |`;
  });
}
