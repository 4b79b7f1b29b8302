import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'vitest';

let isPossible: boolean | null = null;

/** Skips the running test, with its reason, if strace cannot trace. */
export function needsStrace(context: TestContext): void {
  isPossible ??= spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;
  context.skip(!isPossible, 'needs strace and the right to trace a process');
}

/** From now on every call `name` of the process fails with `error`, until the returned function is called. */
export async function failSystemCall(pid: number, name: string, error: string): Promise<() => Promise<void>> {
  const strace = spawn('strace', ['-f', '-p', String(pid), '-e', `trace=${name}`, '-e', `inject=${name}:error=${error}`, '-o', '/dev/null'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = once(strace, 'exit');
  for await (const line of createInterface(strace.stderr)) if (line.includes('attached')) break;
  return async () => {
    strace.kill('SIGINT');
    await gone;
  };
}
