import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { comparisonNames, comparisonResultsSchema } from './comparison.ts';
import { comparisonTable } from './comparison-table.ts';
import { downloadTable } from './download-table.ts';
import { median } from './median.ts';
import { downloadResultsSchema, type PictureResults, pictureResultsSchema, type WindowResults, windowResultsSchema } from './results.ts';
import { resultsFile } from './results-file.ts';
import { windowVerdicts } from './window-verdicts.ts';

/**
 * Puts the measured numbers between their marks: pictures into both READMEs, the window and the comparisons into `docs/performance.md`, downloads into `docs/models.md`.
 * What was not measured yet is told and stays as it is.
 */
export async function writeReport(): Promise<void> {
  await report('picture', pictureResultsSchema, {
    'README.md': english,
    'README.zh-CN.md': chinese,
    'docs/performance.md': ({ comparison }) => comparisonTable(comparison),
  });
  await report('window', windowResultsSchema, { 'docs/performance.md': windowTable });
  for (const name of comparisonNames) await report(name, comparisonResultsSchema, { 'docs/performance.md': comparisonTable });
  await report('downloads', downloadResultsSchema, { 'docs/models.md': downloadTable });
}

async function report<T>(name: string, schema: z.ZodType<T>, places: Record<string, (results: T) => string>): Promise<void> {
  if (!existsSync(resultsFile(name))) {
    console.log(`${name}: not measured yet, npm run bench -- ${name} does`);
    return;
  }
  const results = schema.parse(JSON.parse(await readFile(resultsFile(name), 'utf8')));
  for (const [file, text] of Object.entries(places)) await replaceBetweenMarks(file, name, text(results));
}

async function replaceBetweenMarks(file: string, name: string, text: string): Promise<void> {
  const path = join(programDir, file);
  const before = await readFile(path, 'utf8');
  const [startMark, endMark] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const [start, end] = [before.indexOf(startMark), before.indexOf(endMark)];
  if (start < 0 || end < start) throw new Error(`${file} must hold the marks ${startMark} and ${endMark}`);
  await writeFile(path, `${before.slice(0, start + startMark.length)}\n${text}\n${before.slice(end)}`);
}

function windowTable(results: WindowResults): string {
  const { date, machine, browser, firstPaintMs } = results;
  return [
    `Measured on ${date} (${machine}; ${browser}, ${firstPaintMs.length} rounds; median, and the best and worst round).`,
    '',
    '| measure | value | limit | met |',
    '|---|---|---|---|',
    ...windowVerdicts(results).map(({ measure, value, limit, isMet }) => `| ${measure} | ${value} | ${limit} | ${isMet ? 'yes' : 'no'} |`),
  ].join('\n');
}

function english({ date, machine, steps, sizes }: PictureResults): string {
  const rows = sizes.map(
    ({ sidePx, originalMs, upscaleMs, peakBytes }) =>
      `| ${sidePx} × ${sidePx} | ${seconds(originalMs)} s | ${seconds(upscaleMs)} s | ${gigabytes(peakBytes)} GB |`,
  );
  return [
    `Measured by \`npm run bench -- picture\` on ${date} (${machine}; bundled uint4 checkpoint, ${steps} steps, accuracy fast, medians of ${sizes[0]?.originalMs.length ?? 0} rounds):`,
    '',
    '| picture | original | and its 4× version | peak memory of the engine |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function chinese({ date, machine, steps, sizes }: PictureResults): string {
  const rows = sizes.map(
    ({ sidePx, originalMs, upscaleMs, peakBytes }) =>
      `| ${sidePx} × ${sidePx} | ${seconds(originalMs)} 秒 | ${seconds(upscaleMs)} 秒 | ${gigabytes(peakBytes)} GB |`,
  );
  return [
    `由 \`npm run bench -- picture\` 于 ${date} 测得（${machine}；内置 uint4 模型，${steps} 步，fast 精度，${sizes[0]?.originalMs.length ?? 0} 轮的中位数）：`,
    '',
    '| 图片 | 原图 | 再放大 4 倍 | 引擎内存峰值 |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function seconds(series: readonly number[]): string {
  return (median(series) / 1000).toFixed(1);
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}
