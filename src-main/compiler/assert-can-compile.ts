import { checkConfigs, loadArchitecture } from './architectures.ts';
import { CompileJob } from './compile-job.ts';

/**
 * Throws `checkpoint_missing`, `checkpoint_damaged`, `checkpoint_unsupported` or `graph_invalid` for a checkpoint that cannot run. `configs` needs no
 * weights; `all` builds and checks the graphs from the headers of the weights. Nothing is written.
 */
export async function assertCanCompile(checkpointDir: string, scope: 'configs' | 'all'): Promise<void> {
  await checkConfigs(checkpointDir);
  if (scope === 'configs') return;
  const { compile } = await loadArchitecture(checkpointDir);
  await compile(checkpointDir, new CompileJob({ writeDir: checkpointDir, finalDir: checkpointDir }, 'cpu-exact', { isDryRun: true }), '');
}
