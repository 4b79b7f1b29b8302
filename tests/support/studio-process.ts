import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { FakeEngineOptions } from '../fakes/fake-engine.ts';

const memorySchema = z.object({ type: z.literal('memory'), rss: z.number(), heapUsed: z.number(), external: z.number() });
const readySchema = z.object({ type: z.literal('ready'), port: z.number() });

export interface StudioProcessOptions {
  engine?: FakeEngineOptions;
  /** Kept across processes; a new folder by default, removed by `dispose`. */
  dataDir?: string;
  logLevel?: string;
}

/** A server with a fake model in a separate process, on a free port of 127.0.0.1. */
export class StudioProcess {
  readonly dataDir: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #output: string[];

  private constructor(child: ChildProcess, dataDir: string, port: number, output: string[]) {
    this.#child = child;
    this.dataDir = dataDir;
    this.port = port;
    this.#output = output;
  }

  static async start({ engine = {}, dataDir = mkdtempSync(join(tmpdir(), 'studio-')), logLevel = 'warn' }: StudioProcessOptions = {}): Promise<StudioProcess> {
    const entry = resolve(import.meta.dirname, '../fakes/studio-process.ts');
    const options = ['--host', '127.0.0.1', '--port', '0', '--data-dir', dataDir, '--log-level', logLevel];
    // the second flag as in start.sh
    const execArgv = ['--expose-gc', '--max-semi-space-size=4'];
    const child = fork(entry, [JSON.stringify(engine), ...options], { execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const output: string[] = [];
    child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const ready = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => null)]);
    if (ready === null) throw new Error(`the server ended before it was ready:\n${output.join('')}`);
    return new StudioProcess(child, dataDir, readySchema.parse(ready[0]).port, output);
  }

  /** Its standard error: the log and the last output. */
  get output(): string {
    return this.#output.join('');
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Bytes after a full garbage collection. */
  async memory(): Promise<{ rss: number; heapUsed: number; external: number }> {
    const answer = once(this.#child, 'message');
    this.#child.send('memory');
    return memorySchema.parse((await answer)[0]);
  }

  /** The current value, without a collection; 0 if the system does not report it. */
  residentBytes(): number {
    if (process.platform !== 'linux') return 0;
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  }

  /** SIGTERM parks what runs, SIGKILL is a crash. Resolves when the process is gone; its data stay. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  async dispose(): Promise<void> {
    await this.end();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
