import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileCheckpoint } from './compile.ts';

/**
 * Compiles a checkpoint folder into a temporary folder and deletes the result: weights are used in place, so little is read or written.
 * Throws `checkpoint_missing`, `checkpoint_damaged`, `checkpoint_unsupported` or `graph_invalid` for a checkpoint that cannot run.
 */
export async function assertCanCompile(checkpointDir: string): Promise<void> {
  const cacheDir = await mkdtemp(join(tmpdir(), 'zimage-check-'));
  try {
    await compileCheckpoint({ checkpointDir, cacheDir, identity: checkpointDir, target: 'cpu-exact' }, () => {});
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}
