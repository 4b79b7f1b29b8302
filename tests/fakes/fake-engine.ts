import { resolve } from 'node:path';
import type { SpawnEngine } from '#main/engine/engine-process.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { FAKE_ENGINE_VARIABLE, type FakeBehaviour, type FaultOrder } from './fake-fault.ts';

export type { FaultOrder } from './fake-fault.ts';

export interface FakeEngineOptions {
  /** Milliseconds that a denoising step or a tile takes, 5 by default. */
  stepMs?: number;
  /** See `fakeBehaviourSchema`. */
  busyThreads?: number;
  traceFile?: string;
  /** The faults of run 1, 2 … of any task, counted over all processes; a retry counts as a run. No fault (null) after the last. */
  faults?: readonly (FaultOrder | null)[];
  /** What goes wrong in every run that `faults` does not name. */
  always?: FaultOrder;
}

/**
 * Starts fake engine processes for `createEngine({ spawn: spawnFakeEngine(…) … })`: the real supervisor, channel, process, PNG and files, with a model that
 * paints from the seed. Steps and tiles take `stepMs`; faults come by order.
 */
export function spawnFakeEngine({ stepMs = 5, busyThreads = 0, traceFile, faults = [], always }: FakeEngineOptions = {}): SpawnEngine {
  const entry = resolve(import.meta.dirname, 'fake-worker.ts');
  let runs = 0;
  return (provider) => {
    // enough for any process: none lives through this many tasks of a test with faults
    const upcoming = Array.from({ length: always === undefined ? Math.max(0, faults.length - runs) : 100 }, (_, i) => faults[runs + i] ?? always ?? null);
    const behaviour: FakeBehaviour = { stepMs, busyThreads, traceFile, faults: upcoming };
    const process_ = createNodeSpawn({ entry, env: () => ({ ...process.env, [FAKE_ENGINE_VARIABLE]: JSON.stringify(behaviour) }) })(provider);
    return {
      ...process_,
      get pid() {
        return process_.pid;
      },
      send(message) {
        if (message.type === 'call' && message.method !== 'start') runs++;
        process_.send(message);
      },
    };
  };
}
