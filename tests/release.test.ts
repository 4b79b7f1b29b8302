import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, verify } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { writeChecksums } from '../scripts/checksums.ts';
import { signFeed } from '../scripts/sign-feed.ts';

const root = resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const manifest = z.object({ version: z.string(), scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')));

const stepSchema = z.strictObject({
  name: z.string().optional(),
  if: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
  run: z.string().optional(),
  shell: z.literal('pwsh').optional(),
  env: z.record(z.string(), z.string()).optional(),
});
const jobSchema = z.strictObject({
  'runs-on': z.string(),
  'timeout-minutes': z.number(),
  needs: z.array(z.string()).optional(),
  strategy: z.object({ matrix: z.object({ include: z.array(z.object({ runner: z.string(), arch: z.string() })) }) }).optional(),
  permissions: z.record(z.string(), z.string()).optional(),
  steps: z.array(stepSchema),
});
const workflowSchema = z.object({
  on: z.strictObject({ push: z.strictObject({ tags: z.array(z.string()) }) }),
  permissions: z.strictObject({ contents: z.literal('read') }),
  jobs: z.strictObject({ linux: jobSchema, windows: jobSchema, publish: jobSchema }),
});

// electron-updater's YAML reader ships with the app, so it decides how the feed is read
const yaml: { load(text: string): unknown } = createRequire(createRequire(import.meta.url).resolve('electron-updater'))('js-yaml');
const { jobs } = workflowSchema.parse(yaml.load(read('.github/workflows/release.yml')));
const steps = Object.values(jobs).flatMap((job) => job.steps);
const commands = steps.flatMap((step) => step.run ?? []);

test('packages are built on their own system, and published only when all of them work', () => {
  expect(jobs.linux.strategy?.matrix.include.map(({ arch }) => arch)).toEqual(['x64', 'arm64']);
  expect(jobs.windows['runs-on']).toMatch(/^windows-/);
  expect(jobs.publish.needs).toEqual(['linux', 'windows']);
  for (const job of [jobs.linux, jobs.windows]) {
    const order = job.steps.map(({ run = '', uses = '' }) =>
      /npm run dist/.test(run) ? 'build' : /smoke-test/.test(run) ? 'try' : /upload-artifact/.test(uses) ? 'keep' : '',
    );
    expect(order.filter((step) => step !== '')[0]).toBe('build');
    expect(order.filter((step) => step === 'try').length).toBeGreaterThan(1);
    expect(order.at(-1)).toBe('keep');
  }
  const made = commands.join('\n');
  for (const part of ['scripts/sign-feed.ts', 'npm run --silent sbom', 'scripts/checksums.ts', 'gh release create']) expect(made).toContain(part);
  expect(jobs.publish.steps.flatMap(({ uses }) => uses ?? []).some((uses) => uses.startsWith('actions/attest-build-provenance@'))).toBe(true);
});

test('permissions are granted where they are used, and third-party actions are pinned', () => {
  expect([jobs.linux.permissions, jobs.windows.permissions]).toEqual([undefined, undefined]);
  expect(jobs.publish.permissions).toEqual({ contents: 'write', 'id-token': 'write', attestations: 'write' });
  const uses = steps.flatMap((step) => step.uses ?? []);
  expect(uses.length).toBeGreaterThan(6);
  expect(uses.filter((action) => !/^actions\/[a-z-]+@[0-9a-f]{40}$/.test(action))).toEqual([]);
  const checkouts = steps.filter((step) => step.uses?.startsWith('actions/checkout@'));
  expect(checkouts.map((step) => step.with?.['persist-credentials'])).toEqual([false, false, false]);
  // an external value in a command line would allow command injection
  expect(commands.filter((command) => command.includes('${{'))).toEqual([]);
});

test('every script that it calls exists, and every command parses in its shell', () => {
  const npmScripts = commands.flatMap((command) => [...command.matchAll(/npm run (?:--silent )?([\w-]+)/g)].map((match) => match[1] ?? ''));
  expect(npmScripts.length).toBeGreaterThan(2);
  expect(npmScripts.filter((name) => !(name in manifest.scripts))).toEqual([]);
  const files = commands.flatMap((command) => command.match(/(?:scripts\/[\w.-]+|test\.sh)/g) ?? []);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  for (const { run, shell } of steps) {
    if (run !== undefined && shell === undefined) execFileSync('bash', ['-n'], { input: run, stdio: ['pipe', 'ignore', 'pipe'] });
  }
});

test("checksums equal sha256sum's, and the feed is signed with the key", async ({ skip }) => {
  const folder = mkdtempSync(join(tmpdir(), 'release-'));
  try {
    writeFileSync(join(folder, 'latest-linux.yml'), 'version: 1.0.0\n');
    writeFileSync(join(folder, 'a package.deb'), 'bytes');
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    expect(signFeed(folder, privateKey)).toEqual(['latest-linux.yml']);
    const signature = Buffer.from(readFileSync(join(folder, 'latest-linux.yml.sig'), 'latin1'), 'base64');
    expect(verify(null, readFileSync(join(folder, 'latest-linux.yml')), publicKey, signature)).toBe(true);
    expect((await writeChecksums(folder)).match(/\n/g)).toHaveLength(3);
    if (spawnSync('sha256sum', ['--version']).error !== undefined) return skip('this system has no sha256sum');
    expect(execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' })).toContain('a package.deb: OK');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the metainfo for software centres names this version and is valid', ({ skip }) => {
  const file = 'build/linux/z-image-turbo-studio.metainfo.xml';
  expect(/<release version="([^"]+)"/.exec(read(file))?.[1]).toBe(manifest.version);
  if (spawnSync('appstreamcli', ['--version']).error !== undefined) return skip('this system has no appstreamcli');
  execFileSync('appstreamcli', ['validate', '--no-net', file], { cwd: root, stdio: 'pipe' });
});

test("the rpm's removal script removes the link at the last removal, and nothing after an upgrade", () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpm-'));
  try {
    const script = read('build/linux/after-rpm-remove.tpl').replaceAll('${executable}', 'studio').replaceAll('${sanitizedProductName}', 'The Studio');
    expect(script).not.toContain('${');
    writeFileSync(join(folder, 'update-alternatives'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const env = { PATH: `${folder}:/usr/bin:/bin` };
    const after = (remaining: string): string => execFileSync('sh', ['-c', script, 'postun', remaining], { env, encoding: 'utf8' });
    expect(after('1')).toBe('');
    expect(after('0')).toBe('--remove studio /opt/The Studio/studio\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
