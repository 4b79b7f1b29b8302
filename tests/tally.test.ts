import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tally-'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(
    join(folder, 'vitest.config.ts'),
    `export default { test: { reporters: ['default', ${JSON.stringify(join(root, 'scripts/vitest-tally.ts'))}] } };\n`,
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The last line of a run over these files, and its exit status. */
function run(files: Record<string, string>): { status: number | null; last: string | undefined } {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), `import { test, expect } from 'vitest';\n${text}\n`);
  const { stdout, status } = spawnSync(process.execPath, [join(root, 'node_modules/.bin/vitest'), 'run', '--root', folder], { cwd: folder, encoding: 'utf8' });
  return { status, last: stdout.trimEnd().split('\n').at(-1) };
}

test('all passed', () => {
  expect(run({ 'a.test.ts': "test('one', () => { expect(1).toBe(1); }); test('two', () => {});" })).toEqual({ status: 0, last: '2 passed, 0 failed' });
});

test('failures, skips and a file that does not load are all in the line', () => {
  const files = {
    'a.test.ts': "test('one', () => {}); test('two', () => { expect(1).toBe(2); }); test.skip('three', () => {});",
    'b.test.ts': "throw new Error('does not load');",
  };
  expect(run(files)).toEqual({ status: 1, last: '1 passed, 2 failed, 1 skipped' });
});
