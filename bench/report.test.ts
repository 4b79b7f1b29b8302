import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programDir } from '#main/lib/program-files.ts';
import { figure } from './harness/row.ts';
import { benches } from './main.ts';
import { TRIED } from './reliability-page.ts';
import { performanceSections, rowTable } from './report.ts';

test('every benchmark has its place in the documents', () => {
  const performance = readFileSync(join(programDir, 'docs/performance.md'), 'utf8');
  for (const name of performanceSections) {
    expect(benches).toHaveProperty([name]);
    expect(performance).toContain(`<!-- bench:${name} -->`);
  }
});

test('a table has no column that no row needs', () => {
  expect(rowTable([figure('rate', 1200, '/s')])).toEqual(['|  | measured |', '|---|---|', '| rate | 1,200 /s |']);
  expect(rowTable([figure('rate', 299, '/s', { least: 300 })])[2]).toBe('| rate | 299 /s | at least 300 /s | **missed** |');
});

test('every condition of the reliability page has its test', () => {
  expect(TRIED.map(([, , path]) => path).filter((path) => !existsSync(join(programDir, path)))).toEqual([]);
});
