import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { type TestElectron, testElectron } from '../../scripts/test-electron.ts';
import { startVirtualDisplay, type VirtualDisplay } from './virtual-display.ts';

const root = resolve(import.meta.dirname, '../..');

/** A real Electron with a display, or the reason why it cannot run. */
export interface DesktopMachine {
  electron: TestElectron;
  display: VirtualDisplay;
}

export async function desktopMachine(): Promise<DesktopMachine | string> {
  if (!existsSync(join(root, 'out/main/index.js'))) throw new Error('out/main/index.js does not exist: run npm run build first');
  try {
    return { electron: testElectron(), display: await startVirtualDisplay() };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A user's data folder, removed at the end of the test. */
export class DesktopUser {
  readonly folder = mkdtempSync(join(tmpdir(), 'desktop-'));
  readonly #machine: DesktopMachine;
  #running: ElectronApplication | null = null;
  #appFolder = root;

  constructor(machine: DesktopMachine) {
    this.#machine = machine;
  }

  /** From now on every message box answers with its first button, and its text is appended to `file`, from the start of the app on. */
  withDialogsInto(file: string): this {
    this.#appFolder = join(this.folder, 'app');
    mkdirSync(this.#appFolder);
    const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    writeFileSync(join(this.#appFolder, 'package.json'), JSON.stringify({ ...Object(manifest), main: 'main.mjs' }));
    writeFileSync(
      join(this.#appFolder, 'main.mjs'),
      `import { appendFileSync } from 'node:fs';
      import { dialog } from 'electron';
      dialog.showMessageBox = async (...args) => {
        appendFileSync(${JSON.stringify(file)}, args.at(-1).message + '\\n');
        return { response: 0, checkboxChecked: false };
      };
      import(${JSON.stringify(pathToFileURL(join(root, 'out/main/index.js')).href)});`,
    );
    return this;
  }

  /** Starts the built app for this user; port 0 unless `args` name one. */
  async start(...args: string[]): Promise<ElectronApplication> {
    const port = args.some((argument) => argument.startsWith('--port')) ? [] : ['--port=0'];
    this.#running = await _electron.launch({
      executablePath: this.#machine.electron.executable,
      args: ['--no-sandbox', `--user-data-dir=${this.folder}`, this.#appFolder, ...port, ...args],
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
    const running = this.#running;
    if (running !== null) {
      // if a test failed with a running job, the app asks before it quits
      const kill = setTimeout(() => running.process().kill('SIGKILL'), 10_000);
      await running.close();
      clearTimeout(kill);
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #environment(): Record<string, string> {
    const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return { ...Object.fromEntries(inherited), DISPLAY: this.#machine.display.name, XDG_CONFIG_HOME: join(this.folder, 'config') };
  }
}

/** The app's page once it shows the server's answer. */
export async function pageOf(app: ElectronApplication): Promise<Page> {
  const page = await app.firstWindow();
  await page.waitForLoadState('load');
  return page;
}
