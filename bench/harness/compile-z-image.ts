import { compileCheckpoint } from '#main/compiler/compile.ts';
import type { CompiledZImage } from '#main/lib/compiled.ts';

/** Compiles a checkpoint of Z-Image for the CPU into `cacheDir` unless it is there. */
export async function compileZImage(checkpointDir: string, cacheDir: string): Promise<CompiledZImage> {
  const compiled = await compileCheckpoint({ checkpointDir, cacheDir, identity: 'bench', target: 'cpu-fast' }, () => {});
  if (compiled.architecture === 'z-image') return compiled;
  throw new Error(`${checkpointDir} is no checkpoint of Z-Image.`);
}
