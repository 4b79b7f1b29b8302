// Runs the desktop app from source and rebuilds on every change: npm run dev [-- OPTIONS OF THE APP]
// A change restarts the app, which keeps the page of one build in memory; jobs are parked in between. Without an installed Electron it uses the tests' one.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { resolveConfig } from 'electron-vite';
import { build, type InlineConfig } from 'vite';
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
let restarted: Promise<void> = Promise.resolve();
/** Parts that are being built now, and the restart that waits for them: one file may belong to two parts. */
const building = new Set<object>();
let nextRestart: NodeJS.Timeout | undefined;

function startApp(): void {
  const started = spawn(executable, args, { stdio: 'inherit' });
  app = started;
  started.once('exit', () => {
    // ended by the user, not by a change
    if (app === started) process.exit(0);
  });
}

async function restartApp(): Promise<void> {
  const old = app;
  app = null;
  if (old !== null) {
    old.kill('SIGTERM');
    await once(old, 'exit');
  }
  startApp();
}

/** Builds now, and after every change, which restarts the app; resolves after the first build. */
async function watch(config: InlineConfig): Promise<void> {
  const watcher = await build({ ...config, configFile: false, build: { ...config.build, watch: {} } });
  if (!('on' in watcher)) throw new Error('vite built once instead of watching.');
  let isFirst = true;
  await new Promise<void>((ready) => {
    watcher.on('event', (event) => {
      if (event.code === 'ERROR') process.stderr.write(`${event.error.message}\n`);
      if (event.code === 'START') {
        building.add(watcher);
        clearTimeout(nextRestart);
      }
      if (event.code !== 'END') return;
      building.delete(watcher);
      if (isFirst) ready();
      else if (building.size === 0) nextRestart = setTimeout(() => (restarted = restarted.then(restartApp)), 200);
      isFirst = false;
    });
  });
}

// exit with the app
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (app === null ? process.exit(0) : app.kill('SIGTERM')));

process.stderr.write(`building, then starting in Electron ${version}\n`);
const { config } = await resolveConfig({ root, logLevel: 'warn' }, 'build', 'development');
if (!config?.main || !config.preload || !config.renderer) throw new Error('electron.vite.config.ts must have the parts main, preload and renderer.');
for (const part of [config.main, config.preload, config.renderer]) await watch(part);
startApp();
