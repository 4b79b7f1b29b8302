// Runs the desktop app from source and rebuilds on every change: npm run dev [-- OPTIONS OF THE APP]
// A change of the page reloads the window, any other restarts the app; jobs are parked in between. Without an installed Electron it uses the tests' one.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { resolveConfig } from 'electron-vite';
import { chromium } from 'playwright-core';
import { build, type InlineConfig, type Plugin } from 'vite';
import { testElectron } from './test-electron.ts';

const root = resolve(import.meta.dirname, '..');
const { executable, version } = testElectron();
const given = process.argv.slice(2);
const args = [
  // as root Chromium's sandbox cannot be set up
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ...(given.some((argument) => argument.startsWith('--user-data-dir')) ? [] : [`--user-data-dir=${join(root, 'data/desktop')}`]),
  '--remote-debugging-port=0',
  root,
  ...given,
];

let app: ChildProcess | null = null;
/** The DevTools address of the running app, through which its window is reloaded. */
let devTools: string | null = null;

function startApp(): void {
  const started = spawn(executable, args, { stdio: ['inherit', 'inherit', 'pipe'] });
  app = started;
  createInterface({ input: started.stderr }).on('line', (line) => {
    devTools = /^DevTools listening on (ws:.+)$/.exec(line)?.[1] ?? devTools;
    process.stderr.write(`${line}\n`);
  });
  started.once('exit', () => {
    // ended by the user, not by a change
    if (app === started) process.exit(0);
  });
}

async function restartApp(): Promise<void> {
  const old = app;
  app = null;
  devTools = null;
  if (old !== null) {
    old.kill('SIGTERM');
    await once(old, 'exit');
  }
  startApp();
}

async function reloadWindow(): Promise<void> {
  if (devTools === null) return;
  const browser = await chromium.connectOverCDP(devTools);
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    const session = await page.context().newCDPSession(page);
    // the server sends its files as immutable
    await session.send('Page.reload', { ignoreCache: true });
  }
  await browser.close();
}

/** Builds now and after every change; resolves after the first build. */
async function watch(config: InlineConfig, changed: () => Promise<void>): Promise<void> {
  const watcher = await build({ ...config, configFile: false, build: { ...config.build, watch: {} } });
  if (!('on' in watcher)) throw new Error('vite built once instead of watching.');
  let isFirst = true;
  await new Promise<void>((ready) => {
    watcher.on('event', (event) => {
      if (event.code === 'ERROR') process.stderr.write(`${event.error.message}\n`);
      if (event.code !== 'END') return;
      if (isFirst) ready();
      else void changed();
      isFirst = false;
    });
  });
}

/** The server creates a route for each file at its start, so files keep their names across builds. */
function withSteadyNames(config: InlineConfig): InlineConfig {
  const output = { entryFileNames: 'assets/[name].js', chunkFileNames: 'assets/[name].js', assetFileNames: 'assets/[name][extname]' };
  const steady: Plugin = { name: 'steady-names', config: () => ({ build: { rolldownOptions: { output } } }) };
  return { ...config, plugins: [config.plugins, steady] };
}

// exit with the app
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (app === null ? process.exit(0) : app.kill('SIGTERM')));

process.stderr.write(`building, then starting in Electron ${version}\n`);
const { config } = await resolveConfig({ root, logLevel: 'warn' }, 'build', 'development');
if (!config?.main || !config.preload || !config.renderer) throw new Error('electron.vite.config.ts must have the parts main, preload and renderer.');
for (const [part, changed] of [
  [config.main, restartApp],
  [config.preload, restartApp],
  [withSteadyNames(config.renderer), reloadWindow],
] as const) {
  await watch(part, changed);
}
startApp();
