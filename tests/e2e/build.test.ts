import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const out = resolve(import.meta.dirname, '../../out');

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
