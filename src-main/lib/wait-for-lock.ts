import { setTimeout as delay } from 'node:timers/promises';
import { errnoCode } from './errno-code.ts';

const WAITS_MS = [10, 20, 50, 100, 200, 400, 800];

/**
 * Repeats a file operation while another program holds the file for a moment: `EBUSY`, and on Windows also `EPERM` and `EACCES`, which virus scanners and
 * cloud folders cause there. Gives up with the last error after about 1.6 seconds.
 */
export async function waitForLock<T>(
  operation: () => Promise<T>,
  platform: string = process.platform,
  wait: (ms: number) => Promise<unknown> = delay,
): Promise<T> {
  for (const waitMs of WAITS_MS) {
    try {
      return await operation();
    } catch (cause) {
      const code = errnoCode(cause);
      if (code !== 'EBUSY' && !(platform === 'win32' && (code === 'EPERM' || code === 'EACCES'))) throw cause;
      await wait(waitMs);
    }
  }
  return operation();
}
