import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { loadConfig } from '#main/config/config.ts';
import { createLog } from '#main/server/log.ts';
import { type Studio, startStudio } from '#main/studio.ts';
import { type FakeEngineOptions, spawnFakeEngine } from '../fakes/fake-engine.ts';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** Why there is no browser to test in, or null. */
export const noBrowser = existsSync(CHROMIUM) ? null : `${CHROMIUM} is not there: apt-get install chromium`;

/** What a page did that it must not: errors in its console, reports of its content policy, requests to another host. */
export interface Visit {
  page: Page;
  faults: string[];
}

/** The real server over a data folder of its own with a fake model, and a browser to look at it. */
export class WindowStudio {
  readonly folder = mkdtempSync(join(tmpdir(), 'window-'));
  readonly #engine: FakeEngineOptions;
  #studio: Studio | null = null;
  #browser: Browser | null = null;
  #port = 0;

  constructor(engine: FakeEngineOptions = {}) {
    if (!existsSync(resolve(import.meta.dirname, '../../out/renderer/index.html'))) {
      throw new Error('out/renderer/index.html is not there: npm run build comes first');
    }
    this.#engine = engine;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts the server; after the first time on the same port and the same data. */
  async start(): Promise<void> {
    const config = loadConfig(['--host', '127.0.0.1', '--port', String(this.#port), '--data-dir', this.folder, '--log-level', 'silent'], {});
    this.#studio = await startStudio({ config, spawn: spawnFakeEngine(this.#engine), log: createLog('silent') });
    this.#port = this.#studio.port;
  }

  async stop(): Promise<void> {
    await this.#studio?.close('park');
    this.#studio = null;
  }

  /** A visitor with a storage of their own. */
  async visit(options: BrowserContextOptions = {}): Promise<Visit> {
    this.#browser ??= await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    const context = await this.#browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US', colorScheme: 'light', ...options });
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => faults.push(`page: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(this.url) && !request.url().startsWith('data:')) faults.push(`request: ${request.url()}`);
    });
    await page.goto(this.url);
    return { page, faults };
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
