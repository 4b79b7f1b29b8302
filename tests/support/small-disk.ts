import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';

let isPossible: boolean | null = null;

/** Skips the running test, with its reason, if no tmpfs can be mounted. */
export function needsMount(context: TestContext): void {
  isPossible ??= canMount();
  context.skip(!isPossible, 'needs the right to mount a tmpfs: root on Linux');
}

/** A separate disk at `dir` that a test can fill, make read-only and repair; `options` are for tmpfs. It is unmounted when the test ends. */
export class SmallDisk {
  readonly #dir: string;

  constructor(dir: string, options: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]);
    // lazily: a process that is ending may still use it
    onTestFinished(() => void execFileSync('umount', ['-l', dir]));
  }

  change(options: string): void {
    execFileSync('mount', ['-o', `remount,${options}`, this.#dir]);
  }
}

function canMount(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir], { stdio: 'ignore' });
    execFileSync('umount', [dir], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(dir);
  }
}
