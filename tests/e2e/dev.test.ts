import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import { desktopMachine } from './desktop-app.ts';

const root = resolve(import.meta.dirname, '../..');
const machine = await desktopMachine();
// a copy whose files the test may change
const copy = mkdtempSync(join(tmpdir(), 'dev-'));
let dev: ChildProcess | null = null;

afterAll(async () => {
  if (dev !== null && dev.exitCode === null) {
    const ended = new Promise((done) => dev?.once('exit', done));
    process.kill(-Number(dev.pid), 'SIGTERM');
    await ended;
  }
  if (typeof machine !== 'string') machine.display.close();
  rmSync(copy, { recursive: true, force: true, maxRetries: 5 });
});

function edit(file: string, from: string, to: string): void {
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
}

test('npm run dev: the app restarts with a change of the page, and of the main process', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  for (const part of [
    'src-main',
    'src-shared',
    'src-renderer',
    'clients',
    'docs/images',
    'scripts',
    'package.json',
    'electron.vite.config.ts',
    'THIRD-PARTY.md',
  ]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  for (const part of ['node_modules', 'resources']) symlinkSync(join(root, part), join(copy, part));
  dev = spawn(process.execPath, ['scripts/dev.ts', `--user-data-dir=${join(copy, 'user')}`, '--port=0'], {
    cwd: copy,
    detached: true,
    env: { ...process.env, DISPLAY: machine.display.name },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const addresses: string[] = [];
  const lines: string[] = [];
  if (dev.stderr === null) throw new Error('stderr must be a pipe');
  createInterface({ input: dev.stderr }).on('line', (line) => {
    lines.push(line);
    addresses.push(...[/^DevTools listening on (ws:.+)$/.exec(line)?.[1]].filter((address) => address !== undefined));
  });
  const waitForStart = (count: number) => expect.poll(() => addresses.length, { timeout: 90_000, message: lines.slice(-5).join('\n') }).toBe(count);
  const shownIn = async (address: string | undefined, words: string) => {
    const browser = await chromium.connectOverCDP(String(address));
    const page = browser.contexts()[0]?.pages()[0] ?? (await browser.contexts()[0]?.waitForEvent('page', { timeout: 90_000 }));
    await page?.getByText(words).first().waitFor({ timeout: 60_000 });
    await browser.close();
  };

  await waitForStart(1);
  await shownIn(addresses[0], 'Describe your image');
  edit('src-renderer/i18n/en.ts', 'Describe your image', 'Tell what you want to see');
  await waitForStart(2);
  await shownIn(addresses[1], 'Tell what you want to see');

  edit('src-main/app/window-options.ts', 'minHeight: 560', 'minHeight: 561');
  await waitForStart(3);
  await shownIn(addresses[2], 'Tell what you want to see');
});
