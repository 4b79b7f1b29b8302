import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const out = join(root, 'out');

test.each([
  'main/index.js',
  'main/headless.js',
  'main/cli/main.js',
  'main/engine/worker.js',
  'main/engine/model-thread.js',
  'main/images/image-worker.js',
  'preload/preload.cjs',
  'renderer/index.html',
  'swagger-ui/swagger-ui.css',
  'swagger-ui/swagger-ui-bundle.js',
])('the build has %s', (file) => {
  expect(existsSync(join(out, file))).toBe(true);
});

test('the preload script is CommonJS that requires only electron, as the sandbox demands', () => {
  const text = readFileSync(join(out, 'preload/preload.cjs'), 'utf8');
  expect([...text.matchAll(/require\(["'](.+?)["']\)/g)].map((match) => match[1])).toEqual(['electron']);
  expect(text.length).toBeLessThan(4_000);
});

test("the page's initial load stays under 350 kB gzipped", () => {
  const assets = readdirSync(join(out, 'renderer/assets'));
  const html = readFileSync(join(out, 'renderer/index.html'), 'utf8');
  const atStart = assets.filter((file) => html.includes(file));
  expect(atStart.length).toBeGreaterThan(1);
  const bytes = atStart.reduce((sum, file) => sum + gzipSync(readFileSync(join(out, 'renderer/assets', file))).length, 0);
  expect(bytes).toBeLessThan(350_000);
});

test('start.sh builds again after a change of any file that the build takes', () => {
  const sources = /local sources=\((.+)\)/.exec(readFileSync(join(root, 'scripts/prepare.sh'), 'utf8'))?.[1]?.split(' ') ?? [];
  const files = ['src-main', 'src-shared', 'src-renderer'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.test.ts'))
      .map((name) => join(root, folder, name)),
  );
  const imported = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/(?:from|import) '(\.\.?\/[^'?]+)/g)].map((match) => relative(root, resolve(dirname(file), match[1] ?? ''))),
  );
  const outside = [...new Set(imported.filter((path) => !path.startsWith('src-')))];
  expect(outside.length).toBeGreaterThan(1);
  expect(outside.filter((path) => !sources.some((source) => path === source || path.startsWith(`${source}/`)))).toEqual([]);
});
