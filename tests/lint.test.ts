import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Lints one file with the repository's rules, in a separate folder. */
function lint(text: string): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'lint-'));
  try {
    writeFileSync(join(folder, 'biome.json'), readFileSync(join(root, 'biome.json'), 'utf8').replace(/^\s*"\$schema".*\n/m, ''));
    writeFileSync(join(folder, 'probe.ts'), text);
    const run = spawnSync(process.execPath, [join(root, 'node_modules/.bin/biome'), 'lint', '--error-on-warnings', '--vcs-enabled=false', '.'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status: run.status, output: run.stdout + run.stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test.each([
  ['noFloatingPromises', 'async function work(): Promise<void> {}\nwork();\n'],
  ['noExplicitAny', 'export const anything: any = 1;\n'],
  ['noUnusedVariables', 'const unused = 1;\nexport {};\n'],
  ['noUnusedImports', "import { join } from 'node:path';\nexport const one = 1;\n"],
])('%s is reported', (rule, text) => {
  const { status, output } = lint(text);
  expect(output).toContain(rule);
  expect(status).not.toBe(0);
});

test('a clean file passes', () => {
  const { status, output } = lint('export async function work(): Promise<void> {}\n\nexport const started = work();\n');
  expect(output).not.toContain('lint/');
  expect(status).toBe(0);
});
