import { join } from 'node:path';
import { assertCanCompile } from '#main/compiler/assert-can-compile.ts';
import { findCompilation } from '#main/compiler/find-compilation.ts';
import { inspectExtra, readExtraMetadata } from '#main/compiler/inspect-extra.ts';
import type { Config } from '#main/config/config.ts';
import { createEngine, type SupervisedEngine } from '#main/engine/create-engine.ts';
import type { EngineConfig } from '#main/engine/device-state.ts';
import type { SpawnEngine } from '#main/engine/engine-process.ts';
import { graphTarget } from '#main/engine/graph-target.ts';
import type { DeviceProbes } from '#main/engine/probe-devices.ts';
import { createImages } from '#main/images/images.ts';
import { createUploads } from '#main/images/uploads.ts';
import { createPromptMeter } from '#main/inference/prompt-meter.ts';
import { createJobs } from '#main/jobs/durable-jobs.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { openDataFolder } from '#main/jobs/store/open-data-folder.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub/hub-client.ts';
import { type AccessKey, loadAccessKey } from '#main/server/access/access-key.ts';
import type { App } from '#main/server/fastify-app.ts';
import { listen } from '#main/server/listen.ts';
import type { Log } from '#main/server/log.ts';
import { buildServer } from '#main/server/server.ts';
import { removeServerAddress, writeServerAddress } from '#main/server/server-address.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { deviceParts, type ProviderName } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import { chooseEngines } from './choose-engines.ts';
import { ClosingStack } from './closing-stack.ts';
import { deviceProbes } from './device-probes.ts';
import { localCudaPack } from './local-cuda-pack.ts';
import { noteBuildInUse } from './note-build-in-use.ts';
import { keepCompiledGraphsPruned } from './prune-compiled-graphs.ts';

export interface Studio {
  jobs: Jobs;
  engine: SupervisedEngine;
  accessKey: AccessKey;
  /** The port that it listens on. */
  port: number;
  /** Parks or cancels running jobs, closes the sockets with 1001, then the engine. */
  close(how: 'park' | 'now'): Promise<void>;
}

export interface StudioOptions {
  config: Config;
  /** How the engine's process is started: by Node or by Electron. */
  spawn: SpawnEngine;
  log: Log;
}

/**
 * Starts engine, models, jobs and server; the server listens when the promise resolves. After a failed start everything is closed again.
 * Throws `AppError`s that say what to do: `port_taken`, `data_folder_in_use`, `folder_not_writable`, `device_unavailable` …
 */
export async function startStudio({ config, spawn, log }: StudioOptions): Promise<Studio> {
  const closing = new ClosingStack();
  try {
    return await openStudio({ config, spawn, log }, closing);
  } catch (thrown) {
    // what failed matters more than an error of closing
    await closing.close().catch((error: unknown) => log.warn({ err: error }, 'not everything could be closed after the failed start'));
    throw thrown;
  }
}

async function openStudio({ config, spawn, log }: StudioOptions, closing: ClosingStack): Promise<Studio> {
  const version = programVersion();
  const { dataDir, outputsDir, fixedSettings, checkpointDirs } = config;
  // before anything is written: another instance may hold the folder
  const { isOurs, unlock } = await openDataFolder(dataDir, log);
  closing.add(unlock);
  closing.add(noteBuildInUse());

  const devices = deviceProbes({ spawn, dataDir, binding: config.binding, active: () => providersOf(engine), log });
  const engineConfigs = await enginesFor(config, devices, log);
  const [first] = engineConfigs;
  const engine = createEngine({ spawn, devices: engineConfigs, log });
  closing.add(() => engine.close());
  const hub = createHubClient(config.hub);
  closing.add(() => hub.close());
  const { cacheDir } = config.hub;
  const compilationOf = (identity: string) => findCompilation(join(dataDir, 'compiled'), identity, graphTarget(first, first.accuracy));
  const library = createModelLibrary({
    resourcesDir,
    dataDir,
    checkpointDirs,
    cacheDir,
    hub,
    compilationOf,
    assertCanRun: assertCanCompile,
    extraReader: { inspect: inspectExtra, metadata: readExtraMetadata },
    log,
  });
  closing.add(() => library.close());
  closing.add(keepCompiledGraphsPruned({ cacheDir: join(dataDir, 'compiled'), library, devices: engineConfigs, log }));
  const cudaPack = localCudaPack({
    config,
    bytesPerSecond: () => library.limits().bytes_per_second,
    isInUse: () => engine.pid() !== null && providersOf(engine).includes('cuda'),
    log,
  });
  closing.add(() => cudaPack.close());
  // fail at start, not at the first job, if a --checkpoint folder is unusable
  await library.assertNamedFolders();
  const images = createImages(entryFile('images/image-worker.ts'));
  closing.add(() => images.close());
  const uploads = createUploads(join(dataDir, 'uploads'), images);
  const promptMeter = createPromptMeter(entryFile('inference/meter-thread.ts'));
  closing.add(() => promptMeter.close());

  let server: App | null = null;
  // after the jobs: clients still receive how their jobs ended
  closing.add(() => server?.close());
  let how: 'park' | 'now' = 'now';
  const jobs = await createJobs({
    ...{ dataDir, outputsDir, fixedSettings, engine, log, isOwnWindow },
    lockedFolder: { isOurs, unlock: () => {} },
    fixedDevice: fixedSettings.includes('device') ? config.device : undefined,
    registry: library,
    inputs: uploads,
    programVersion: version,
  });
  closing.add(() => jobs.close(how));
  library.start();
  const accessKey = loadAccessKey(dataDir);
  server = await buildServer({
    ...{ config, jobs, images, uploads, library, cudaPack, accessKey, version, log },
    engineStatus: () => engine.status(),
    listDevices: devices.list,
    rendererDir: join(programDir, 'out/renderer'),
    onnxruntimeVersion: onnxruntimeVersion(),
    measurePrompt: promptMeter.measure,
  });
  const port = await listen(server, config.host, config.port);
  try {
    writeServerAddress(dataDir, { host: config.host, port, pid: process.pid });
    closing.add(() => removeServerAddress(dataDir));
  } catch (thrown) {
    log.warn({ err: thrown }, 'server.json could not be written to the data folder: a desktop app that starts on this folder does not find this server');
  }
  return {
    ...{ jobs, engine, accessKey, port },
    close: (wanted) => {
      how = wanted;
      return closing.close();
    },
  };
}

/** A device from the settings that cannot be used counts as `auto`; one from the command line ends the start. */
async function enginesFor(config: Config, devices: DeviceProbes, log: Log): Promise<[EngineConfig, ...EngineConfig[]]> {
  if (config.fixedSettings.includes('device')) return chooseEngines(config, devices);
  const { device } = new SettingsFile({ ...config, log }).settings;
  try {
    return await chooseEngines({ ...config, device }, devices);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'device_unavailable') throw thrown;
    log.warn({ device }, `${thrown.message} It is the device in the settings; auto is used instead.`);
    return chooseEngines({ ...config, device: 'auto' }, devices);
  }
}

function providersOf(engine: SupervisedEngine): ProviderName[] {
  return engine.status().devices.map(({ device }) => deviceParts(device).provider);
}

/** Jobs from the local window run before API jobs. */
function isOwnWindow(clientId: string): boolean {
  return windowClientIdPattern.test(clientId);
}
