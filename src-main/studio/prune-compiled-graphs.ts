import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { pruneCompiled } from '#main/compiler/compile-cache.ts';
import { graphTarget } from '#main/engine/graph-target.ts';
import type { WorkerConfig } from '#main/engine/protocol.ts';
import type { GraphTarget } from '#main/lib/compiled.ts';
import type { ModelLibrary } from '#main/models/library.ts';

interface PruneOptions {
  /** The folder of the compiled graphs. */
  cacheDir: string;
  library: Pick<ModelLibrary, 'entries' | 'watch'>;
  devices: readonly Pick<WorkerConfig, 'device' | 'gpuPrecision'>[];
  log: { warn(fields: object, message: string): void };
}

/**
 * Removes compiled graphs that nothing uses: of other versions of the compiler, for devices that this machine does not run models on, and of models that
 * were removed. Prunes now and after each removal. Returns the function that ends it.
 */
export function keepCompiledGraphsPruned({ cacheDir, library, devices, log }: PruneOptions): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  const prune = (): void => {
    last = last.then(() => pruneNow(cacheDir, library, devices)).catch((error: unknown) => log.warn({ err: error }, 'unused compiled graphs were not removed'));
  };
  prune();
  const unwatch = library.watch(({ state }) => {
    if (state === 'absent') prune();
  });
  return async () => {
    unwatch();
    await last;
  };
}

async function pruneNow(cacheDir: string, library: PruneOptions['library'], devices: PruneOptions['devices']): Promise<void> {
  // without graphs there is no need to fingerprint all models
  if (!existsSync(cacheDir) || (await readdir(cacheDir)).length === 0) return;
  const targets = new Set<GraphTarget>(['cpu-fast', 'cpu-exact']);
  for (const device of devices) for (const accuracy of ['fast', 'exact'] as const) targets.add(graphTarget(device, accuracy));
  const entries = await library.entries();
  const identities = new Set(entries.map(({ identity }) => identity));
  // a model that cannot be read now, such as one on a disk that is not mounted, may be one of the compiled ones
  const isComplete = entries.every(({ error }) => error === null);
  await pruneCompiled(cacheDir, ({ identity, target }) => targets.has(target as GraphTarget) && (!isComplete || identities.has(identity)));
}
