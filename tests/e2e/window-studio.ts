import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { loadConfig } from '#main/config/config.ts';
import type { SpawnEngine } from '#main/engine/engine-process.ts';
import { createLog } from '#main/server/log.ts';
import { type Studio, startStudio } from '#main/studio/start-studio.ts';
import { type FakeEngineOptions, spawnFakeEngine } from '../fakes/fake-engine.ts';
import { launchBrowser, prepareVisit, type Visit } from './browser.ts';

/** The page shows the log; nothing else needs it. */
const unread = { write: () => {} };

/** The real server with its own data folder and a fake model, and a browser. */
export class WindowStudio {
  readonly folder = mkdtempSync(join(tmpdir(), 'window-'));
  readonly #spawn: SpawnEngine;
  readonly #args: readonly string[];
  #studio: Studio | null = null;
  #browser: Browser | null = null;
  #port = 0;
  #visits: Visit[] = [];

  /** @param args Extra arguments for the server's command line. */
  constructor(engine: FakeEngineOptions = {}, args: readonly string[] = []) {
    if (!existsSync(resolve(import.meta.dirname, '../../out/renderer/index.html'))) {
      throw new Error('out/renderer/index.html does not exist: run npm run build first');
    }
    this.#spawn = spawnFakeEngine(engine);
    this.#args = args;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts the server; later starts use the same port and data. */
  async start(): Promise<void> {
    const config = loadConfig(['--host', '127.0.0.1', '--port', String(this.#port), '--data-dir', this.folder, ...this.#args], {});
    this.#studio = await startStudio({ config, spawn: this.#spawn, log: createLog('info', unread) });
    this.#port = this.#studio.port;
  }

  async stop(): Promise<void> {
    await this.#studio?.close('park');
    this.#studio = null;
  }

  /** A visitor with separate storage. @param address The address to open; the server's by default. */
  async visit(options: BrowserContextOptions = {}, address: string = this.url): Promise<Visit> {
    this.#browser ??= await launchBrowser();
    const visit = await prepareVisit(this.#browser, new URL(address).origin, options);
    this.#visits.push(visit);
    await visit.page.goto(address);
    return visit;
  }

  /** Faults of the visitors' pages so far; each is returned once. */
  takeFaults(): string[] {
    return this.#visits.flatMap(({ faults }) => faults.splice(0));
  }

  /** Closes all pages; returns their faults. */
  async endVisits(): Promise<string[]> {
    const faults = this.takeFaults();
    await Promise.all(this.#visits.map(({ page }) => page.context().close()));
    this.#visits = [];
    return faults;
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
