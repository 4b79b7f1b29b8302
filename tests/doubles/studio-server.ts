import { mkdtempSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createImages } from '#main/images/images.ts';
import { createUploads } from '#main/images/uploads.ts';
import { entryFile } from '#main/lib/program-files.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { type AccessKey, loadAccessKey } from '#main/server/access/access-key.ts';
import type { App } from '#main/server/fastify-app.ts';
import { createLog } from '#main/server/log.ts';
import { buildServer, type ServerOptions } from '#main/server/server.ts';
import { zImage } from '#shared/domain/architecture.ts';
import type { CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import type { ModelEntry } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { JobsDouble } from './jobs.ts';

export interface StudioServer {
  app: App;
  jobs: JobsDouble;
  accessKey: AccessKey;
  port: number;
  dataDir: string;
  logLines: string[];
  close(): Promise<void>;
}

/** The real server over jobs in memory, listening on a free port of `host`. */
export async function startStudioServer(settings: Settings & { host?: string; prepare?: Prepare } = {}): Promise<StudioServer> {
  const { host = '127.0.0.1', prepare, ...rest } = settings;
  const folder = mkdtempSync(join(tmpdir(), 'studio-server-'));
  const { app, images, ...parts } = await build(folder, prepare, rest);
  await app.listen({ host, port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    app,
    ...parts,
    port,
    close: async () => {
      await app.close();
      await images.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Settings extends Partial<ServerOptions['config']>, Pick<ServerOptions, 'socketLimits' | 'bodyLimits' | 'uploadLimits' | 'doorTiming'> {
  logLevel?: string;
}

type Prepare = (folder: string) => Promise<void>;

async function build(
  folder: string,
  prepare: Prepare | undefined,
  { socketLimits, bodyLimits, uploadLimits, doorTiming, logLevel = 'info', ...config }: Settings,
) {
  const [dataDir, outputsDir] = [join(folder, 'data'), join(folder, 'outputs')];
  await mkdir(outputsDir);
  await prepare?.(folder);
  const jobs = new JobsDouble(outputsDir);
  const accessKey = loadAccessKey(dataDir);
  const logLines: string[] = [];
  const images = createImages(entryFile('images/image-worker.ts'));
  const app = await buildServer({
    config: { open: false, requireKey: false, allowHosts: [], allowOrigins: [], dataDir, ...config },
    jobs,
    images,
    uploads: createUploads(join(dataDir, 'uploads'), images),
    library,
    cudaPack: { entry: async () => packEntry, act: async () => packEntry, watch: () => () => {}, close: async () => {} },
    engineStatus: () => ({
      state: 'ready',
      device: 'cpu',
      deviceReason: 'no GPU',
      accuracy: 'fast',
      memory: { choice: 'auto', steppedDown: false, planned: null },
      binding: { binding: 'c-api', reason: 'a test' },
      residentBytes: 1,
      restarts: 0,
      devices: [{ state: 'ready', device: 'cpu', deviceReason: 'no GPU', residentBytes: 1 }],
    }),
    listDevices: async () => ({ gpus: [], devices: [], onnxruntime: '1.30.0' }),
    accessKey,
    rendererDir: join(folder, 'renderer'),
    version: '0.0.0-test',
    onnxruntimeVersion: '1.30.0',
    // one token per word replaces the tokenizers, which have their own tests
    measurePrompt: async (_checkpoint, prompt) => ({ count: prompt.split(' ').length, limit: 512, cutAt: null }),
    log: createLog(logLevel, { write: (text) => logLines.push(text) }),
    ...(socketLimits === undefined ? {} : { socketLimits }),
    ...(bodyLimits === undefined ? {} : { bodyLimits }),
    ...(uploadLimits === undefined ? {} : { uploadLimits }),
    ...(doorTiming === undefined ? {} : { doorTiming }),
  });
  return { app, images, jobs, accessKey, dataDir, logLines };
}

/** The server before it listens. */
export async function buildAnother(): Promise<App> {
  const { app } = await build(mkdtempSync(join(tmpdir(), 'studio-server-')), undefined, {});
  return app;
}

const checkpoint = {
  name: 'storybook-uint4',
  dir: '/models/storybook-uint4',
  modelType: 'uint4' as const,
  bundled: true,
  fingerprint: 'a'.repeat(64),
  sizeBytes: 1,
  license: 'Apache-2.0',
  sizeUnitPx: 32,
  capabilities: zImage,
};

const packEntry: CudaPackEntry = {
  state: 'absent',
  version: '1.30.0-cuda13.1.1-cudnn9.20.0',
  onnxruntime: '1.30.0',
  source: 'example.org',
  path: null,
  bytes_done: 0,
  bytes_total: 1,
  bytes_per_second: null,
  seconds_left: null,
  installed_bytes: 2,
  error: null,
  revision: 1,
  licences: [],
  others: [],
};

const entry: ModelEntry = {
  name: checkpoint.name,
  kind: 'uint4',
  state: 'installed',
  active: true,
  license: 'Apache-2.0',
  source: { type: 'bundled', repository: null, revision: null, path: checkpoint.dir },
  identity: checkpoint.fingerprint,
  bytes_done: 1,
  bytes_total: 1,
  bytes_per_second: null,
  seconds_left: null,
  error: null,
  compilation: null,
};

const modelListeners = new Set<(model: ModelEntry) => void>();

const library: ModelLibrary = {
  checkpointFor: async (modelType) => {
    if (modelType === 'uint4') return checkpoint;
    throw new AppError('model_not_installed', `No ${modelType} checkpoint is installed.`, { modelType });
  },
  upscaler: async () => ({ name: 'realesr-general-x4v3', path: '/models/up.safetensors', fingerprint: 'b'.repeat(64), sizeBytes: 1, license: 'BSD-3-Clause' }),
  upscalers: async () => [],
  loras: async () => [],
  controlNets: async () => [],
  list: async () => [checkpoint],
  assertNamedFolders: async () => {},
  entries: async () => [entry],
  act: async (name, action) => {
    if (name !== entry.name) throw new AppError('unknown_model', `There is no model ${name}.`, {});
    if (action === 'remove') throw new AppError('model_busy', `${name} comes with the program.`, { state: entry.state });
    for (const listener of modelListeners) listener(entry);
    return entry;
  },
  add: async ({ dir }) => ({ ...entry, name: dir ?? 'repository' }),
  cacheDir: '/cache/hub',
  limits: () => ({ bytes_per_second: null }),
  setLimits: async (limits) => limits,
  watch: (listener) => {
    modelListeners.add(listener);
    return () => modelListeners.delete(listener);
  },
  start: () => {},
  close: async () => {},
};
