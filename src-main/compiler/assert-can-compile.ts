import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfigs } from './architectures.ts';
import { compileCheckpoint } from './compile.ts';

/**
 * Throws `checkpoint_missing`, `checkpoint_damaged`, `checkpoint_unsupported` or `graph_invalid` for a checkpoint that cannot run. `configs` needs no
 * weights; `all` compiles into a temporary folder. Weights are used in place, so little is read or written.
 */
export async function assertCanCompile(checkpointDir: string, scope: 'configs' | 'all'): Promise<void> {
  await checkConfigs(checkpointDir);
  if (scope === 'configs') return;
  const cacheDir = await mkdtemp(join(tmpdir(), 'zimage-check-'));
  try {
    await compileCheckpoint({ checkpointDir, cacheDir, identity: checkpointDir, target: 'cpu-exact' }, () => {});
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}
