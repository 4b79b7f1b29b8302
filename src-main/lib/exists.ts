import { access } from 'node:fs/promises';
import { unlessMissing } from './unless-missing.ts';

/** Whether there is a file or folder at `path`. Throws if that cannot be found out, as in a process without free file descriptors. */
export async function exists(path: string): Promise<boolean> {
  return (await unlessMissing(access(path), null)) !== null;
}
