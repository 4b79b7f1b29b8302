import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const root = resolve(import.meta.dirname, '../..');
const source = join(root, 'src-main/headless.ts');
/** Compiling takes half of the start time. */
const compileCache = join(root, 'node_modules/.cache/compile');

export interface HeadlessOptions {
  dataDir: string;
  /** The program to run: the source by default. */
  entry?: string;
  /** A module to load before the program. */
  preload?: string;
  env?: Record<string, string>;
  args?: readonly string[];
  /** The most files and sockets that it may open. */
  openFilesLimit?: number;
}

/** The program without a screen as a process on a free port of 127.0.0.1. */
export class HeadlessProcess {
  readonly #child: ChildProcess;
  /** Null if the process ended before it was ready. */
  readonly ready: Promise<string | null>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** What it logged. */
  log = '';
  isRunning = true;

  constructor({ dataDir, entry = source, preload, env = {}, args = [], openFilesLimit }: HeadlessOptions) {
    const before = preload === undefined ? [] : ['--import', preload];
    const options = ['--host', '127.0.0.1', '--port', '0', '--data-dir', dataDir, ...args];
    const limited = openFilesLimit === undefined ? [] : ['sh', '-c', `ulimit -n ${openFilesLimit}; exec "$0" "$@"`];
    const [command = '', ...words] = [...limited, process.execPath, ...before, entry, ...options];
    this.#child = spawn(command, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache, ...env },
    });
    this.#child.stderr?.on('data', (part: Buffer) => {
      this.log += part.toString();
    });
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.isRunning = false;
      return { code, signal };
    });
    this.ready = this.#readUrl();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it as a user would. */
  async end(): Promise<void> {
    this.kill('SIGTERM');
    await this.ended;
  }

  async #readUrl(): Promise<string | null> {
    if (this.#child.stdout === null) return null;
    for await (const line of createInterface(this.#child.stdout)) {
      const url = /^ready (http:\S+)$/.exec(line)?.[1];
      if (url === undefined) continue;
      // keep reading, or the pipe fills up
      this.#child.stdout.resume();
      return url;
    }
    return null;
  }
}
