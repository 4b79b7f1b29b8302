import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config } from '#main/config/config.ts';
import type { EngineConfig } from '#main/engine/device-state.ts';

type Choices = Pick<Config, 'accuracy' | 'memory' | 'dataDir'> &
  Pick<EngineConfig, 'device' | 'gpuPrecision' | 'binding' | 'priority'> & { deviceReason?: string };

/** How an engine runs on one device of this machine, `deviceReason` being why on this one. */
export function engineConfig({ dataDir, deviceReason = 'chosen by name', ...choices }: Choices): EngineConfig {
  return { ...choices, deviceReason, threads: availableParallelism(), cacheDir: join(dataDir, 'compiled') };
}
