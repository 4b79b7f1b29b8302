import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');

export interface StartedServer {
  url: string;
  pid: number;
  isRunning(): boolean;
  /** Sends SIGTERM, then removes its data. */
  stop(): Promise<void>;
}

/** Runs `bash start.sh` with a separate data folder; resolves when it is ready. */
export async function startServer(...options: string[]): Promise<StartedServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'start-'));
  const child = spawn('bash', ['start.sh', '--host', '127.0.0.1', '--data-dir', dataDir, ...options], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const url = await readyUrl(child);
  return {
    url,
    pid: child.pid ?? 0,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    stop: async () => {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function readyUrl(child: ChildProcess): Promise<string> {
  const errors: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  if (child.stdout === null) throw new Error('start.sh has no standard output');
  for await (const line of createInterface({ input: child.stdout })) {
    const ready = /^ready (http:\/\/\S+)$/.exec(line);
    if (ready?.[1]) {
      // keep reading, or the pipe fills up
      child.stdout.resume();
      return ready[1];
    }
  }
  throw new Error(`start.sh ended before it was ready:\n${errors.join('')}`);
}
