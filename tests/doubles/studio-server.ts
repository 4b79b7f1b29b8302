import { mkdtempSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { type AccessKey, loadAccessKey } from '#main/server/access-key.ts';
import type { App } from '#main/server/app.ts';
import { createLog } from '#main/server/log.ts';
import { buildServer, type ServerOptions } from '#main/server/server.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { JobsDouble } from './jobs.ts';

export interface StudioServer {
  app: App;
  jobs: JobsDouble;
  accessKey: AccessKey;
  port: number;
  /** `http://127.0.0.1:PORT` */
  url: string;
  outputsDir: string;
  dataDir: string;
  rendererDir: string;
  logLines: string[];
  close(): Promise<void>;
}

/** The real server over jobs in memory, listening on a free port of `host`. */
export async function startStudioServer(
  settings: Partial<ServerOptions['config']> &
    Pick<ServerOptions, 'socketLimits'> & { host?: string; logLevel?: string; prepare?: (folder: string) => Promise<void> } = {},
): Promise<StudioServer> {
  const { socketLimits, host = '127.0.0.1', logLevel = 'info', prepare, ...config } = settings;
  const folder = mkdtempSync(join(tmpdir(), 'studio-server-'));
  const [dataDir, outputsDir, rendererDir] = [join(folder, 'data'), join(folder, 'outputs'), join(folder, 'renderer')];
  await mkdir(outputsDir);
  await prepare?.(folder);
  const jobs = new JobsDouble(outputsDir);
  const accessKey = loadAccessKey(dataDir);
  const logLines: string[] = [];
  const app = await buildServer({
    config: { open: false, allowHosts: [], allowOrigins: [], dataDir, ...config },
    jobs,
    registry,
    engineStatus: () => ({ state: 'ready', device: 'cpu', deviceReason: 'no GPU', accuracy: 'fast', residentBytes: 1, restarts: 0 }),
    accessKey,
    rendererDir,
    version: '0.0.0-test',
    log: createLog(logLevel, { write: (text) => logLines.push(text) }),
    ...(socketLimits === undefined ? {} : { socketLimits }),
  });
  await app.listen({ host, port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    app,
    jobs,
    accessKey,
    port,
    url: `http://127.0.0.1:${port}`,
    outputsDir,
    dataDir,
    rendererDir,
    logLines,
    close: async () => {
      await app.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const checkpoint = {
  name: 'storybook-uint4',
  dir: '/models/storybook-uint4',
  modelType: 'uint4' as const,
  bundled: true,
  identity: 'a'.repeat(64),
  sizeBytes: 1,
  license: 'Apache-2.0',
  sizeUnitPx: 32,
};

const registry: ModelRegistry = {
  checkpointFor: async (modelType) => {
    if (modelType === 'uint4') return checkpoint;
    throw new AppError('model_not_installed', `No ${modelType} checkpoint is installed.`, { modelType });
  },
  upscaler: async () => ({ name: 'realesr-general-x4v3', path: '/models/up.safetensors', identity: 'b'.repeat(64), license: 'BSD-3-Clause' }),
  list: async () => [checkpoint],
};
