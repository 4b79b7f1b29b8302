import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programDir } from '#main/lib/program-files.ts';
import { errorTable } from '#shared/protocol/errors.ts';
import { ask } from '../../../tests/doubles/ask.ts';
import { startStudioServer } from '../../../tests/doubles/studio-server.ts';
import { createErrorsPage } from './errors-page.ts';

test('docs/errors.md is the page that the table gives; `npx vitest run -u` writes it', async () => {
  await expect(createErrorsPage()).toMatchFileSnapshot(join(programDir, 'docs/errors.md'));
});

test('the server has the page too', async () => {
  const server = await startStudioServer();
  const answer = await ask(server.port, '/docs/errors.md');
  expect([answer.headers['content-type'], answer.body.toString()]).toEqual(['text/markdown; charset=utf-8', createErrorsPage()]);
  await server.close();
});

test.for(Object.entries(errorTable))('%s says what it means and what to do, with a status of its own', ([, { status, meaning, advice }]) => {
  expect(status).toBeGreaterThanOrEqual(400);
  expect(meaning).toMatch(/^[A-Z`].{15,}\.$/);
  expect(advice).toMatch(/^[A-Z`].{5,}\.$/);
});

test('the program can raise each code', () => {
  const folders = ['src-main', 'src-shared'].map((folder) => join(programDir, folder));
  const files = folders.flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)));
  const sources = files
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('protocol/errors.ts'))
    .map((path) => readFileSync(path, 'utf8'));
  // a code reaches the constructor as a literal, directly or through a function or table of its room
  const raised = new Set(sources.flatMap((text) => [...text.matchAll(/'([a-z]+(?:_[a-z]+)*)'/g)].map(([, code]) => code)));
  expect(Object.keys(errorTable).filter((code) => !raised.has(code))).toEqual([]);
});
