import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { checkTables, partResultsSchema } from './checks.ts';
import { type Comparison, type ComparisonResults, comparisonFile, comparisonNames, comparisonResultsSchema } from './comparison.ts';
import { comparisonTable } from './comparison-table.ts';
import { downloadTable } from './download-table.ts';
import { median } from './median.ts';
import { downloadResultsSchema, type PictureResults, pictureResultsSchema, type WindowResults, windowResultsSchema } from './results.ts';
import { resultsFile } from './results-file.ts';
import { windowVerdicts } from './window-verdicts.ts';

/**
 * Puts the measured numbers between their marks: what a user wants to know into both READMEs, the window and the comparisons into `docs/performance.md`,
 * downloads and the full size into `docs/models.md`.
 * What was not measured yet is told and stays as it is.
 */
export async function writeReport(): Promise<void> {
  await report('picture', pictureResultsSchema, {
    'README.md': english,
    'README.zh-CN.md': chinese,
    'docs/performance.md': ({ comparison }) => (comparison === undefined ? '' : comparisonTable(comparison)),
  });
  await report('window', windowResultsSchema, { 'docs/performance.md': windowTable });
  for (const name of comparisonNames) await reportComparison(name, { 'docs/performance.md': comparisonTable });
  await reportComparison('start', { 'README.md': englishStart, 'README.zh-CN.md': chineseStart });
  await reportComparison('load', { 'README.md': englishMemory, 'README.zh-CN.md': chineseMemory });
  await report('downloads', downloadResultsSchema, { 'docs/models.md': downloadTable });
  await report('fullsize', partResultsSchema, { 'docs/models.md': (results) => checkTables(results).join('\n').trimEnd() });
}

function reportComparison(name: string, places: Record<string, (results: ComparisonResults) => string>): Promise<void> {
  return report(name, comparisonResultsSchema, places, comparisonFile(name));
}

async function report<T>(name: string, schema: z.ZodType<T>, places: Record<string, (results: T) => string>, path = resultsFile(name)): Promise<void> {
  if (!existsSync(path)) {
    console.log(`${name}: not measured yet, npm run bench -- ${name} does`);
    return;
  }
  const results = schema.parse(JSON.parse(await readFile(path, 'utf8')));
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

function english({ date, machine, steps, sizes, comparison }: PictureResults): string {
  const rows = sizes.map(
    ({ sidePx, originalMs, upscaleMs, peakBytes }) =>
      `| ${sidePx} × ${sidePx} | ${seconds(originalMs)} s | ${peerSeconds(comparison, sidePx, 's')} | ${seconds(upscaleMs)} s | ${gigabytes(peakBytes)} GB |`,
  );
  return [
    `Measured by \`npm run bench -- picture\` on ${date} (${machine}; bundled uint4 checkpoint, ${steps} steps, accuracy fast, medians of ${sizes[0]?.originalMs.length ?? 0} rounds; diffusers with sdnq in its fastest form, taking turns with ours):`,
    '',
    '| picture | original | the same by diffusers | and its 4× version | peak memory of the engine |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function chinese({ date, machine, steps, sizes, comparison }: PictureResults): string {
  const rows = sizes.map(
    ({ sidePx, originalMs, upscaleMs, peakBytes }) =>
      `| ${sidePx} × ${sidePx} | ${seconds(originalMs)} 秒 | ${peerSeconds(comparison, sidePx, '秒')} | ${seconds(upscaleMs)} 秒 | ${gigabytes(peakBytes)} GB |`,
  );
  return [
    `由 \`npm run bench -- picture\` 于 ${date} 测得（${machine}；内置 uint4 模型，${steps} 步，fast 精度，${sizes[0]?.originalMs.length ?? 0} 轮的中位数；diffusers 与 sdnq 取其最快的形式，与本程序轮流运行）：`,
    '',
    '| 图片 | 原图 | 同图用 diffusers | 再放大 4 倍 | 引擎内存峰值 |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** Empty for a size that was not compared. */
function peerSeconds(comparison: PictureResults['comparison'], sidePx: number, unit: string): string {
  const peer = comparison?.rows.find(({ label }) => label === `${sidePx} x ${sidePx}`)?.peer;
  return peer == null ? '' : `${seconds(peer.series)} ${unit}`;
}

function englishStart({ date, rows }: ComparisonResults): string {
  const [warm, cold] = rows.map(startSeconds);
  return `From the start of the server to its first 256 × 256 picture: ${warm?.ours} s, the very first time ${cold?.ours} s (FastAPI with diffusers and sdnq: ${warm?.peer} s; \`npm run bench -- start\` on ${date}).`;
}

function chineseStart({ date, rows }: ComparisonResults): string {
  const [warm, cold] = rows.map(startSeconds);
  return `从启动服务到第一张 256 × 256 图片：${warm?.ours} 秒，首次运行 ${cold?.ours} 秒（FastAPI 加 diffusers 与 sdnq：${warm?.peer} 秒；\`npm run bench -- start\`，${date}）。`;
}

function startSeconds({ ours, peer }: Comparison): { ours: string; peer: string } {
  return { ours: seconds(ours), peer: seconds(peer?.series ?? []) };
}

function englishMemory({ date, rows }: ComparisonResults): string {
  const { ours, peer } = steadyMemory(rows);
  return `A quarter of the real model, loaded, with server and all: ${ours} GB (FastAPI with diffusers and sdnq: ${peer} GB; \`npm run bench -- load\` on ${date}).`;
}

function chineseMemory({ date, rows }: ComparisonResults): string {
  const { ours, peer } = steadyMemory(rows);
  return `载入四分之一大小的真实模型后，连同服务共占 ${ours} GB（FastAPI 加 diffusers 与 sdnq：${peer} GB；\`npm run bench -- load\`，${date}）。`;
}

/** The last row is what stays. */
function steadyMemory(rows: readonly Comparison[]): { ours: string; peer: string } {
  const row = rows.at(-1);
  return { ours: gigabytes(median(row?.ours ?? [])), peer: gigabytes(median(row?.peer?.series ?? [])) };
}

function seconds(series: readonly number[]): string {
  return (median(series) / 1000).toFixed(1);
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}
