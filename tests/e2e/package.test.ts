import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { desktopMachine } from './desktop-app.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

const machine = await desktopMachine();
if (typeof machine === 'string') console.warn(`the tests of the package are skipped: ${machine}`);

/** Bundled weights and icons are 84 MB of it, Electron 370. */
const BUDGET_MB = 600;

let folder: string;
let app: string;

beforeAll(async () => {
  if (typeof machine === 'string') return;
  folder = mkdtempSync(join(tmpdir(), 'package-'));
  app = join(folder, 'linux-unpacked');
  const args = ['-c', 'electron-builder.config.mjs', '--publish', 'never', '--linux', 'dir', `--config.directories.output=${folder}`];
  const env = { ...process.env, ELECTRON_DIST: machine.electron.distDir, ELECTRON_VERSION: machine.electron.version };
  await run(process.execPath, [join(root, 'node_modules/.bin/electron-builder'), ...args], { cwd: root, env, maxBuffer: 1 << 26 });
});
afterAll(() => {
  if (typeof machine === 'string') return;
  machine.display.close();
  rmSync(folder, { recursive: true, force: true });
});

function filesBelow(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((file) => lstatSync(join(top, file)).isFile());
}

test('the package holds what runs on this system and nothing for another', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const archive = (
    await run(process.execPath, [join(root, 'node_modules/.bin/asar'), 'list', join(app, 'resources/app.asar')], { maxBuffer: 1 << 26 })
  ).stdout.split('\n');
  for (const file of [
    '/out/main/index.js',
    '/out/main/engine/worker.js',
    '/out/preload/preload.cjs',
    '/out/renderer/index.html',
    '/LICENSE',
    '/THIRD-PARTY.md',
  ]) {
    expect(archive).toContain(file);
  }
  const unwanted = /^\/(src-|tests|docs|scripts|bench|data|outputs|node_modules\/(node-(linux|win)|electron\/|react|vite|typescript|@types))|\.map$|\.tsx?$/;
  expect(archive.filter((file) => unwanted.test(file))).toEqual([]);

  const native = filesBelow(join(app, 'resources')).filter((file) => /\.(node|so|dll|dylib)(\.|$)/.test(file));
  expect(native.length).toBeGreaterThan(3);
  expect(native.filter((file) => /win32|darwin|arm64|musl-|linuxmusl/.test(file))).toEqual([]);
  expect(existsSync(join(app, 'resources/app-resources/models/storybook-uint4/model_index.json'))).toBe(true);
});

test('the package stays within its budget', ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const megabytes = filesBelow(app).reduce((sum, file) => sum + lstatSync(join(app, file)).size, 0) / 1e6;
  console.warn(`the unpacked app takes ${Math.round(megabytes)} MB`);
  expect(megabytes).toBeLessThan(BUDGET_MB);
});

test('the packaged app, production fuses set, makes a picture', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const args = ['--no-sandbox', `--user-data-dir=${join(folder, 'user')}`, '--remote-debugging-port=0', '--port=0'];
  const child = spawn(join(app, 'z-image-turbo-studio'), args, { env: { ...process.env, DISPLAY: machine.display.name }, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((done) => child.once('exit', done));
  let browser: Browser | undefined;
  try {
    browser = await chromium.connectOverCDP(await devToolsAddress(child));
    const [context] = browser.contexts();
    const page = context?.pages()[0] ?? (await context?.waitForEvent('page'));
    if (page === undefined) throw new Error('the app shows no page');
    await page.waitForLoadState('load');
    const heard = await page.evaluate(
      () =>
        new Promise<string[]>((done) => {
          const statuses: string[] = [];
          const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/api/ws?client_id=package-test`);
          const params = { prompt: 'a yellow sailboat on a beach', width: 256, height: 256, steps: 3 };
          socket.onopen = () => socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params }));
          socket.onmessage = ({ data }) => {
            const message: { type: string; status?: string } = JSON.parse(data);
            if (message.status === undefined) return;
            statuses.push(message.status);
            if (['completed', 'failed'].includes(message.status)) done(statuses);
          };
        }),
    );
    expect(heard).toEqual(['pending', 'processing', 'generated', 'completed']);
  } finally {
    await browser?.close();
    child.kill('SIGTERM');
    await ended;
  }
});

/** Chromium says on its standard error where its DevTools listen. */
function devToolsAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (address !== undefined) resolve(address);
    });
    child.once('exit', (code) => reject(new Error(`the app ended with ${code} before it listened:\n${text}`)));
  });
}
