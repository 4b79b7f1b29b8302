import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { type TestElectron, testElectron } from '../../scripts/test-electron.ts';
import { startVirtualDisplay, type VirtualDisplay } from './virtual-display.ts';

const root = resolve(import.meta.dirname, '../..');

/** A real Electron and a screen for it, or why there is none. */
export interface DesktopMachine {
  electron: TestElectron;
  display: VirtualDisplay;
}

export async function desktopMachine(): Promise<DesktopMachine | string> {
  if (!existsSync(join(root, 'out/main/index.js'))) throw new Error('out/main/index.js is not there: npm run build comes first');
  try {
    return { electron: testElectron(), display: await startVirtualDisplay() };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A user's data folder, gone at the end of the test. */
export class DesktopUser {
  readonly folder = mkdtempSync(join(tmpdir(), 'desktop-'));
  readonly #machine: DesktopMachine;
  #running: ElectronApplication | null = null;
  #noticesFile: string | null = null;

  constructor(machine: DesktopMachine) {
    this.#machine = machine;
  }

  /** From now on message boxes answer themselves with their first button, and what they say is added to `file`: those of the very start too. */
  withDialogsInto(file: string): this {
    this.#noticesFile = file;
    return this;
  }

  /** Starts the built app for this user; port 0 unless `args` name one. */
  async start(...args: string[]): Promise<ElectronApplication> {
    const port = args.some((argument) => argument.startsWith('--port')) ? [] : ['--port=0'];
    this.#running = await _electron.launch({
      executablePath: this.#machine.electron.executable,
      args: ['--no-sandbox', `--user-data-dir=${this.folder}`, root, ...port, ...args],
      env: this.#environment(),
      timeout: 60_000,
    });
    return this.#running;
  }

  /** Starts the app a second time, as a click on its icon does; resolves with the exit code. */
  startAgain(...args: string[]): Promise<number | null> {
    const second = spawn(this.#machine.electron.executable, ['--no-sandbox', `--user-data-dir=${this.folder}`, root, ...args], {
      env: this.#environment(),
      stdio: 'ignore',
    });
    return new Promise((done) => second.once('exit', done));
  }

  async end(): Promise<void> {
    await this.#running?.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #environment(): Record<string, string> {
    const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const recorded =
      this.#noticesFile === null ? {} : { NODE_OPTIONS: `--require ${join(import.meta.dirname, 'record-dialogs.cjs')}`, NOTICES_FILE: this.#noticesFile };
    return { ...Object.fromEntries(inherited), ...recorded, DISPLAY: this.#machine.display.name, XDG_CONFIG_HOME: join(this.folder, 'config') };
  }
}

/** The app's page once the server's answer is drawn. */
export async function pageOf(app: ElectronApplication): Promise<Page> {
  const page = await app.firstWindow();
  await page.waitForLoadState('load');
  return page;
}
