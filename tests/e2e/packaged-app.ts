import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { z } from 'zod';
import type { DesktopMachine } from './desktop-app.ts';

export const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** Builds packages of `targets` into `folder`, as `npm run dist` does, but with the tests' Electron and little compression. */
export async function buildPackages(machine: DesktopMachine, folder: string, targets: readonly string[], settings: Record<string, string>): Promise<void> {
  const args = ['-c', 'electron-builder.config.mjs', '--publish', 'never', '--linux', ...targets, `--config.directories.output=${folder}`];
  const env = {
    ...process.env,
    ELECTRON_DIST: machine.electron.distDir,
    ELECTRON_VERSION: machine.electron.version,
    CUSTOM_FPM_PATH: join(root, 'scripts/deb-builder.mjs'),
    DEB_COMPRESSION_LEVEL: '1',
    ...settings,
  };
  const builder = join(root, 'node_modules/.bin/electron-builder');
  await run(process.execPath, [builder, ...args, '--config.deb.compression=zst'], { cwd: root, env, maxBuffer: 1 << 26 });
}

/** A running packaged app, driven over the DevTools protocol: its fuses allow no other access. */
export interface PackagedApp {
  page: Page;
  /** Resolves with the exit code, null after a signal. */
  ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  close(): Promise<void>;
}

export interface PackagedStart {
  executable: string;
  /** Contains the user's data, settings and caches. */
  home: string;
  args?: readonly string[];
  env?: Record<string, string>;
}

export async function startPackaged({ executable, home, args = [], env = {} }: PackagedStart): Promise<PackagedApp> {
  // Chromium's sandbox does not start for root
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const child = spawn(executable, [...sandbox, `--user-data-dir=${join(home, 'user')}`, '--remote-debugging-port=0', '--port=0', ...args], {
    env: { ...process.env, HOME: home, XDG_CACHE_HOME: join(home, 'cache'), XDG_CONFIG_HOME: join(home, 'config'), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  let browser: Browser | undefined;
  const close = async (): Promise<void> => {
    await browser?.close();
    child.kill('SIGTERM');
    await ended;
  };
  try {
    const address = await devToolsAddress(child);
    browser = await connectWithPage(new URL(address).host, 30_000);
    return { page: await firstPage(browser), ended, kill: (signal) => void child.kill(signal), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const targetsSchema = z.array(z.object({ type: z.string(), url: z.string() }));

/** Connects once the app shows its page: Playwright may wait forever if it connects while a window is being created. Throws after `timeoutMs`. */
export async function connectWithPage(devToolsHost: string, timeoutMs: number): Promise<Browser> {
  const deadline = Date.now() + timeoutMs;
  while (!(await showsPage(devToolsHost))) {
    if (Date.now() > deadline) throw new Error(`the app behind ${devToolsHost} showed no page in ${timeoutMs} ms`);
    await new Promise((done) => setTimeout(done, 100));
  }
  return chromium.connectOverCDP(`http://${devToolsHost}`);
}

async function showsPage(devToolsHost: string): Promise<boolean> {
  try {
    const targets = targetsSchema.parse(await (await fetch(`http://${devToolsHost}/json/list`)).json());
    return targets.some(({ type, url }) => type === 'page' && url.startsWith('http:'));
  } catch (error) {
    if (error instanceof z.ZodError) throw error;
    // nothing listens there yet
    return false;
  }
}

export async function firstPage(browser: Browser): Promise<Page> {
  const [context] = browser.contexts();
  const page = context?.pages()[0] ?? (await context?.waitForEvent('page'));
  if (page === undefined) throw new Error('the app shows no page');
  // a window shows about:blank until its page has loaded
  await page.waitForURL(/^http:/, { waitUntil: 'load' });
  return page;
}

/** Generates a small image over a WebSocket of the page; resolves with the received statuses, the last one an end state. */
export function makeImage(page: Page, params: Record<string, unknown> = {}): Promise<string[]> {
  return page.evaluate(
    (wanted) =>
      new Promise<string[]>((done) => {
        const statuses: string[] = [];
        const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/api/ws?client_id=package-test`);
        const all = { prompt: 'a yellow sailboat on a beach', width: 256, height: 256, steps: 3, ...wanted };
        socket.onopen = () => socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: all }));
        socket.onmessage = ({ data }) => {
          const message: { type: string; status?: string } = JSON.parse(data);
          if (message.status === undefined) return;
          statuses.push(message.status);
          if (['completed', 'failed'].includes(message.status)) done(statuses);
        };
      }),
    params,
  );
}

/** Chromium prints the address of its DevTools on standard error. */
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
