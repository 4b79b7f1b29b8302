import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const entry = resolve(import.meta.dirname, '../../out/main/headless.js');

export interface HeadlessServer {
  origin: string;
  /** As a person ends it, with SIGTERM. */
  end(): Promise<void>;
}

/** The built server without a screen, on a free port of this machine. */
export async function startHeadless(dataDir: string): Promise<HeadlessServer> {
  const child = spawn(process.execPath, [entry, '--data-dir', dataDir, '--host', '127.0.0.1', '--port', '0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const origin = /^ready (http:.+)$/.exec(line)?.[1];
    if (origin === undefined) continue;
    return {
      origin,
      end: async () => {
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await exited;
      },
    };
  }
  throw new Error(`the server without a screen ended before it was ready, with exit code ${child.exitCode}`);
}
