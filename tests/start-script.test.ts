import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');

let parent: string;
let project: string;
let bin: string;

function write(file: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

/** A project in miniature around the real start.sh: the npm and the builder in it only note that they were called. */
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'start-'));
  project = join(parent, 'a folder with spaces');
  bin = join(parent, 'bin');
  for (const file of ['start.sh', 'scripts/prepare.sh']) {
    mkdirSync(dirname(join(project, file)), { recursive: true });
    copyFileSync(join(root, file), join(project, file));
  }
  for (const file of ['package.json', 'package-lock.json', 'electron.vite.config.ts', 'src-main/headless.ts', 'src-shared/a.ts', 'src-renderer/a.ts']) {
    write(join(project, file), '{}\n');
  }
  for (const tool of ['bash', 'env', 'dirname', 'cat', 'cut', 'find', 'head', 'mkdir', 'mktemp', 'mv', 'rm', 'sha256sum', 'tail', 'touch']) {
    mkdirSync(bin, { recursive: true });
    const real = spawnSync('which', [tool], { encoding: 'utf8' }).stdout.trim();
    if (real !== '') symlinkSync(real, join(bin, tool));
  }
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const builder = `
import { mkdirSync, writeFileSync } from 'node:fs';
mkdirSync('out/main', { recursive: true });
writeFileSync('out/main/headless.js', 'console.log(JSON.stringify({ cwd: process.cwd(), argv: process.argv.slice(2) }))');
`;

/** An npm whose \`ci\` leaves a Node.js and a builder, as the real packages do. */
function withNpm(ci = 'true'): void {
  const installed = join(parent, 'packages');
  write(join(installed, 'electron-vite/bin/electron-vite.js'), builder);
  write(join(installed, 'electron-vite/package.json'), '{"type":"module"}');
  mkdirSync(join(installed, '.bin'), { recursive: true });
  symlinkSync(process.execPath, join(installed, '.bin/node'));
  const cp = spawnSync('which', ['cp'], { encoding: 'utf8' }).stdout.trim();
  write(
    join(bin, 'npm'),
    `#!${join(bin, 'bash')}\n[ "$1" = --version ] && exit 0\n${ci} || exit 1\nrm -rf node_modules\n${cp} -a "${installed}" node_modules\n`,
    0o755,
  );
}

function start(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(join(bin, 'bash'), [join(project, 'start.sh'), ...args], { cwd: parent, env: { PATH: bin }, encoding: 'utf8', input: '' });
}

test('installs, builds and serves; arguments and the working folder reach the server as they are', () => {
  withNpm();
  const first = start('--port', '0', 'two words');
  expect(first.stderr).toContain('installing packages');
  expect(first.stderr).toContain('building');
  expect(first.status).toBe(0);
  expect(JSON.parse(first.stdout)).toEqual({ cwd: parent, argv: ['--port', '0', 'two words'] });

  const second = start();
  expect(second.stderr).toBe('');
  expect(second.status).toBe(0);
});

test('once installed and built it needs no npm', () => {
  withNpm();
  start();
  rmSync(join(bin, 'npm'));
  expect(start()).toMatchObject({ status: 0, stderr: '' });
});

test('a changed lock installs again, a changed source builds again, a changed unit test does neither', () => {
  withNpm();
  start();
  write(join(project, 'src-main/a.test.ts'), 'changed');
  const later = new Date(Date.now() + 5_000);
  utimesSync(join(project, 'src-main/a.test.ts'), later, later);
  utimesSync(join(project, 'src-main'), 1, 1);
  expect(start().stderr).toBe('');
  write(join(project, 'src-main/headless.ts'), 'changed');
  utimesSync(join(project, 'src-main/headless.ts'), later, later);
  const rebuilt = start();
  expect(rebuilt.stderr).toContain('building');
  expect(rebuilt.stderr).not.toContain('installing');
  write(join(project, 'package-lock.json'), '{ "changed": true }');
  expect(start().stderr).toContain('installing packages');
});

test('without npm one sentence says what to install', () => {
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('npm was not found');
});

test('a failed installation shows what npm said, and the next start tries again', () => {
  withNpm('{ echo "ENOTFOUND the.host" >&2; false; }');
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('ENOTFOUND the.host');
  expect(run.stderr).toContain('could not be installed');
  withoutNpm();
  withNpm();
  expect(start().status).toBe(0);
});

function withoutNpm(): void {
  rmSync(join(bin, 'npm'));
  rmSync(join(parent, 'packages'), { recursive: true, force: true });
}

test('a Node.js that is too old is refused by its version', () => {
  withNpm();
  const old = join(parent, 'packages/.bin/node');
  rmSync(old);
  write(join(bin, 'node'), `#!${join(bin, 'bash')}\n[ "$1" = --version ] && { echo v18.20.4; exit 0; }\nexit 1\n`, 0o755);
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('v18.20.4, which is too old');
});

test('a failed build ends the start and leaves no mark that it succeeded', () => {
  withNpm();
  write(join(parent, 'packages/electron-vite/bin/electron-vite.js'), 'console.error("the builder says no"); process.exit(1)');
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('the builder says no');
  expect(run.stderr).toContain('the build failed');
  expect(() => readFileSync(join(project, 'out/.built'))).toThrow('ENOENT');
});
