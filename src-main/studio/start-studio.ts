import { join } from 'node:path';
import { findCompilation } from '#main/compiler/find-compilation.ts';
import type { Config } from '#main/config/config.ts';
import { createEngine, type SupervisedEngine } from '#main/engine/create-engine.ts';
import type { SpawnEngine } from '#main/engine/engine-process.ts';
import { graphTarget } from '#main/engine/graph-target.ts';
import type { DeviceProbes } from '#main/engine/probe-devices.ts';
import type { EngineConfig } from '#main/engine/supervisor.ts';
import { createPromptMeter } from '#main/inference/prompt-meter.ts';
import { createJobs } from '#main/jobs/durable-jobs.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { type AccessKey, loadAccessKey } from '#main/server/access/access-key.ts';
import { listen } from '#main/server/listen.ts';
import type { Log } from '#main/server/log.ts';
import { buildServer } from '#main/server/server.ts';
import { removeServerAddress, writeServerAddress } from '#main/server/server-address.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { deviceParts, type ProviderName } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import { chooseEngines } from './choose-engines.ts';
import { deviceProbes } from './device-probes.ts';
import { localCudaPack } from './local-cuda-pack.ts';
import { openHubClient } from './open-hub-client.ts';

export interface Studio {
  jobs: Jobs;
  engine: SupervisedEngine;
  accessKey: AccessKey;
  /** The port that it listens on. */
  port: number;
  /** Parks or drops what runs, closes the sockets with 1001, then the engine. */
  close(how: 'park' | 'now'): Promise<void>;
}

export interface StudioOptions {
  config: Config;
  /** How the engine's process is started: by Node or by Electron. */
  spawn: SpawnEngine;
  log: Log;
}

/**
 * The whole program but its shell: engine, models, jobs and server, listening when the promise resolves.
 * Throws `AppError`s that say what to do: `port_taken`, `data_folder_in_use`, `folder_not_writable`, `device_unavailable` …
 */
export async function startStudio({ config, spawn, log }: StudioOptions): Promise<Studio> {
  const version = programVersion();
  const { dataDir, outputsDir, fixedSettings, checkpointDirs } = config;
  const fixedDevice = fixedSettings.includes('device') ? config.device : undefined;
  const devices = deviceProbes({ spawn, dataDir, binding: config.binding, active: () => providersOf(engine), log });
  const engineConfigs = await enginesFor(config, devices, log);
  const [first] = engineConfigs;
  const engine = createEngine({ spawn, devices: engineConfigs, log });
  const hub = openHubClient(config.hub);
  const { cacheDir } = config.hub;
  const compilationOf = (identity: string) => findCompilation(join(dataDir, 'compiled'), identity, graphTarget(first, first.accuracy));
  const library = await createModelLibrary({ resourcesDir, dataDir, checkpointDirs, cacheDir, hub, compilationOf, log });
  const cudaPack = localCudaPack({
    config,
    bytesPerSecond: () => library.limits().bytes_per_second,
    isInUse: () => engine.pid() !== null && providersOf(engine).includes('cuda'),
    log,
  });
  // a folder that was named and cannot be used is told now, not at the first job
  if (checkpointDirs.length > 0) await library.list();
  const jobs = await createJobs({ dataDir, outputsDir, fixedSettings, fixedDevice, engine, registry: library, programVersion: version, log, isOwnWindow });
  try {
    library.start();
    const accessKey = loadAccessKey(dataDir);
    const rendererDir = join(programDir, 'out', 'renderer');
    const promptMeter = createPromptMeter(entryFile('inference/meter-thread.ts'));
    const engineStatus = () => engine.status();
    const server = await buildServer({
      config,
      jobs,
      library,
      cudaPack,
      engineStatus,
      listDevices: devices.list,
      accessKey,
      rendererDir,
      version,
      onnxruntimeVersion: onnxruntimeVersion(),
      measurePrompt: promptMeter.measure,
      log,
    });
    // one that was killed has left its own
    removeServerAddress(dataDir);
    const port = await listen(server, config.host, config.port);
    try {
      writeServerAddress(dataDir, { host: config.host, port, pid: process.pid });
    } catch (thrown) {
      log.warn({ err: thrown }, 'the address of this server could not be written down: a desktop app that starts on this data folder does not find it');
    }
    const close = async (how: 'park' | 'now'): Promise<void> => {
      removeServerAddress(dataDir);
      // in this order the clients still hear how their jobs were left
      await jobs.close(how);
      await server.close();
      await promptMeter.close();
      await library.close();
      await cudaPack.close();
      await hub.close();
      await engine.close();
    };
    return { jobs, engine, accessKey, port, close };
  } catch (thrown) {
    await jobs.close('now');
    await library.close();
    await cudaPack.close();
    await hub.close();
    await engine.close();
    throw thrown;
  }
}

/** The device that the settings name may be gone by now, which must not keep the program from its start; that of the command line is insisted on. */
async function enginesFor(config: Config, devices: DeviceProbes, log: Log): Promise<[EngineConfig, ...EngineConfig[]]> {
  if (config.fixedSettings.includes('device')) return chooseEngines(config, devices);
  const { device } = new SettingsFile({ ...config, log }).settings;
  try {
    return await chooseEngines({ ...config, device }, devices);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'device_unavailable') throw thrown;
    log.warn({ device }, `${thrown.message} The settings named it; it is as if they said auto.`);
    return chooseEngines({ ...config, device: 'auto' }, devices);
  }
}

function providersOf(engine: SupervisedEngine): ProviderName[] {
  return engine.status().devices.map(({ device }) => deviceParts(device).provider);
}

/** Who sits before the machine does not wait behind scripts. */
function isOwnWindow(clientId: string): boolean {
  return windowClientIdPattern.test(clientId);
}
