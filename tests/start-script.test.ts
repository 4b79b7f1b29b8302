import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const root = resolve(import.meta.dirname, '..');

let parent: string;
let project: string;
let bin: string;

function write(file: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

/** A tiny project around the real start.sh; its npm and builder only record their calls. */
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'start-'));
  project = join(parent, 'a folder with spaces');
  bin = join(parent, 'bin');
  for (const file of ['start.sh', 'scripts/prepare.sh', 'scripts/assert-not-served.mjs']) {
    mkdirSync(dirname(join(project, file)), { recursive: true });
    copyFileSync(join(root, file), join(project, file));
  }
  const sources = ['src-main/headless.ts', 'src-shared/a.ts', 'src-renderer/a.ts', 'clients/js/a.js', 'docs/images/storybook.png', 'THIRD-PARTY.md'];
  for (const file of ['package.json', 'package-lock.json', 'electron.vite.config.ts', ...sources]) {
    write(join(project, file), '{}\n');
  }
  for (const tool of ['bash', 'env', 'dirname', 'cat', 'cut', 'find', 'head', 'mkdir', 'mktemp', 'mv', 'rm', 'sleep', 'grep', 'sha256sum', 'tail', 'touch']) {
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
  mkdirSync(join(installed, 'vite'), { recursive: true });
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
  return startWith({}, ...args);
}

function startWith(env: Record<string, string>, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(join(bin, 'bash'), [join(project, 'start.sh'), ...args], { cwd: parent, env: { PATH: bin, ...env }, encoding: 'utf8', input: '' });
}

test('installs, builds and serves; arguments and the working folder reach the server unchanged', () => {
  withNpm();
  const first = start('--port', '0', 'two words');
  expect(first.stderr).toContain('Installing packages');
  expect(first.stderr).toContain('Building');
  expect(first.status).toBe(0);
  expect(JSON.parse(first.stdout)).toEqual({ cwd: parent, argv: ['--port', '0', 'two words'] });

  const second = start();
  expect(second.stderr).toBe('');
  expect(second.status).toBe(0);
});

test('once installed and built, it needs no npm', () => {
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
  expect(rebuilt.stderr).toContain('Building');
  expect(rebuilt.stderr).not.toContain('Installing');
  write(join(project, 'package-lock.json'), '{ "changed": true }');
  expect(start().stderr).toContain('Installing packages');
});

test('without npm, one sentence says what to install', () => {
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('npm does not work here');
});

test("a failed installation shows npm's output, and the next start tries again", () => {
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

test('a Node.js that is too old is refused with its version', () => {
  withNpm();
  const old = join(parent, 'packages/.bin/node');
  rmSync(old);
  write(join(bin, 'node'), `#!${join(bin, 'bash')}\n[ "$1" = --version ] && { echo v18.20.4; exit 0; }\nexit 1\n`, 0o755);
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('v18.20.4, which is too old');
});

test('a failed build ends the start and leaves no success stamp', () => {
  withNpm();
  write(join(parent, 'packages/electron-vite/bin/electron-vite.js'), 'console.error("the builder says no"); process.exit(1)');
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('the builder says no');
  expect(run.stderr).toContain('The build failed');
  expect(() => readFileSync(join(project, 'out/.built'))).toThrow('ENOENT');
});

const leavesToolsOut = `case "\${NODE_ENV:-} \${npm_config_omit:-} $*" in *--include=dev*) ;; *production* | *dev*) exit 0 ;; esac`;

test.each([{ NODE_ENV: 'production' }, { npm_config_omit: 'dev' }])('%j does not leave the build tools out', (env) => {
  withNpm(leavesToolsOut);
  expect(startWith(env)).toMatchObject({ status: 0 });
});

test('an installation without the build tools counts as incomplete, at once and with a stamp of an earlier version', () => {
  withNpm('mkdir -p node_modules; exit 0');
  const run = start();
  expect(run.status).toBe(1);
  expect(run.stderr).toContain('npm left the build tools out');
  const hash = spawnSync('sha256sum', [join(project, 'package-lock.json')], { encoding: 'utf8' }).stdout.slice(0, 64);
  write(join(project, 'node_modules/.installed-lock'), `${hash}\n`);
  withoutNpm();
  withNpm();
  expect(start()).toMatchObject({ status: 0, stderr: expect.stringContaining('Installing packages') });
});

test('NODE_OPTIONS that Node.js refuses are named', () => {
  withNpm();
  const run = startWith({ NODE_OPTIONS: '--no-such-option' });
  expect(run.status).toBe(1);
  expect(run.stderr).toMatch(/Node\.js does not start with NODE_OPTIONS, which is "--no-such-option": .*not allowed in NODE_OPTIONS/);
});

test('environment variables of a Node.js cluster do not reach the server', () => {
  withNpm();
  write(join(parent, 'packages/electron-vite/bin/electron-vite.js'), builder.replace('argv: process.argv.slice(2)', 'id: process.env.NODE_UNIQUE_ID ?? null'));
  expect(JSON.parse(startWith({ NODE_UNIQUE_ID: '1' }).stdout)).toMatchObject({ id: null });
});

test("CDPATH does not change the script's folder", () => {
  withNpm();
  mkdirSync(join(parent, 'elsewhere/a folder with spaces'), { recursive: true });
  const run = spawnSync(join(bin, 'bash'), ['a folder with spaces/start.sh'], {
    cwd: parent,
    env: { PATH: bin, CDPATH: join(parent, 'elsewhere') },
    encoding: 'utf8',
  });
  expect([run.status, run.stderr]).toEqual([0, expect.not.stringContaining('No such file')]);
});

test('nothing is built while a server runs from out/; --help still works', () => {
  withNpm();
  start();
  const server = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  try {
    const commandLine = process.platform === 'linux' ? readFileSync(`/proc/${process.pid}/cmdline`) : '';
    mkdirSync(join(project, 'out/.in-use'));
    // a killed server whose process id was reused
    writeFileSync(join(project, 'out/.in-use', String(server.pid)), 'node out/main/headless.js');
    const later = new Date(Date.now() + 5_000);
    utimesSync(join(project, 'src-main/headless.ts'), later, later);
    if (process.platform === 'linux') expect(start().stderr).toContain('Building');

    writeFileSync(join(project, 'out/.in-use', String(process.pid)), commandLine);
    const still = new Date(Date.now() + 9_000);
    utimesSync(join(project, 'src-main/headless.ts'), still, still);
    const refused = start('--port', '0');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(`A server (process ${process.pid}) runs from out/`);
    expect(refused.stderr).not.toContain('Building');
    expect(JSON.parse(start('--help').stdout)).toMatchObject({ argv: ['--help'] });
  } finally {
    server.kill();
  }
});

test.skipIf(process.platform !== 'linux')('a signal ends it at once, also while it installs', async () => {
  withNpm(`echo $$ >${join(parent, 'npm.pid').replaceAll(' ', '\\ ')}; exec sleep 60`);
  const run = spawn(join(bin, 'bash'), [join(project, 'start.sh')], { env: { PATH: bin }, stdio: 'ignore' });
  const ended = once(run, 'exit');
  await vi.waitFor(() => expect(readFileSync(join(parent, 'npm.pid'), 'utf8')).toMatch(/\d/), { timeout: 30_000 });
  run.kill('SIGTERM');
  expect(await ended).toEqual([143, null]);
  const npm = Number(readFileSync(join(parent, 'npm.pid'), 'utf8'));
  // a process that has ended but is not reaped yet has no command line
  const commandLine = (): string => (existsSync(`/proc/${npm}`) ? readFileSync(`/proc/${npm}/cmdline`, 'utf8') : '');
  await vi.waitFor(() => expect(commandLine()).toBe(''));
});

test('start.ps1, for Windows, installs with the same options, builds from the same sources and serves the same program', () => {
  const [bash, twin] = [
    `${readFileSync(join(root, 'start.sh'))}${readFileSync(join(root, 'scripts/prepare.sh'))}`,
    readFileSync(join(root, 'start.ps1'), 'utf8'),
  ];
  const sources = /local sources=\(([^)]*)\)/.exec(bash)?.[1]?.split(' ') ?? [];
  expect(sources.length).toBeGreaterThan(3);
  for (const source of sources) expect(twin).toContain(`'${source}'`);
  const shared = [
    '--ignore-scripts --no-audit --no-fund --include=dev --include=optional',
    'scripts/assert-not-served.mjs',
    'electron-vite.js build --logLevel warn',
  ];
  for (const part of [...shared, '.installed-lock', 'out/.built', '--max-semi-space-size=4', 'out/main/headless.js', 'NODE_CHANNEL_FD']) {
    expect(bash, part).toContain(part);
    expect(twin, part).toContain(part);
  }
  expect(readFileSync(join(root, 'start.cmd'), 'utf8')).toContain('-ExecutionPolicy Bypass -File "%~dp0start.ps1" %*');
});
