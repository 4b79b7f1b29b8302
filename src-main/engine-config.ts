import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import type { Config } from './config/config.ts';
import type { EngineConfig } from './engine/supervisor.ts';

/** How the engine runs on this machine. Throws `device_unavailable`. */
export function engineConfig({ device, accuracy, memory, dataDir }: Pick<Config, 'device' | 'accuracy' | 'memory' | 'dataDir'>): EngineConfig {
  if (device !== 'auto' && device !== 'cpu') {
    throw new AppError('device_unavailable', `--device ${device} cannot be used: this version runs on the cpu; leave the option out or say cpu.`, { device });
  }
  const deviceReason = device === 'cpu' ? 'chosen by --device' : 'the only device that this version runs on';
  return { device: 'cpu', deviceReason, accuracy, memory, threads: availableParallelism(), cacheDir: join(dataDir, 'compiled') };
}
