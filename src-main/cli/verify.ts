import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandLine } from '#main/config/command-options.ts';
import type { SupervisedEngine } from '#main/engine/create-engine.ts';
import { createImages } from '#main/images/images.ts';
import { createUploads } from '#main/images/uploads.ts';
import { findMadeImage } from '#main/jobs/images/find-made-image.ts';
import { ImageFolders } from '#main/jobs/images/image-folders.ts';
import { repeatImage, repeatObstacles } from '#main/jobs/repeat-image.ts';
import { openSqlite } from '#main/jobs/store/sqlite.ts';
import { createStore, type Store } from '#main/jobs/store/store.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { verifyImage } from '#main/provenance/verify-image.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { type DeviceName, deviceNameSchema } from '#shared/domain/device.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { createLocalEngine } from './local-engine.ts';
import { assertFiles, verifyFiles, verifyOptions, verifyUsage } from './verify-files.ts';

export const optionsSchema = z.object({
  ...verifyOptions,
  device: z.union([z.literal('auto'), deviceNameSchema]).optional(),
  checkpoint: pathOption.optional(),
  'data-dir': pathOption.optional(),
});

export const usage = verifyUsage(
  'npm run verify -- FILES… [--repeat] [--image FILE] [--json] [--device NAME] [--checkpoint DIR] [--data-dir DIR]',
  'A running server is not needed and not disturbed.',
  `  --device NAME      where images are repeated: cpu, cuda, cuda:1 …, or auto (as at the first time)
  --checkpoint DIR   a checkpoint that is not installed
  --data-dir DIR     data folder with the database (data)`,
);

export async function verify(argv: readonly string[]): Promise<void> {
  const { words: files, options } = readCommandLine(optionsSchema, usage, argv);
  assertFiles(files, usage);
  const dataDir = options['data-dir'] ?? join(programDir, 'data');
  const { hub, outputsDir } = loadCommandConfig({}, ['outputs-dir']);
  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message), error: (_: object, message: string) => console.error(message) };
  const checkpointDirs = options.checkpoint === undefined ? [] : [options.checkpoint];
  const { registry } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs, cacheDir: hub.cacheDir, log });
  const images = createImages(entryFile('images/image-worker.ts'));
  const engines = new Engines(dataDir, options.device, log);
  const store = await openStore(dataDir);
  const { settings, earlierFolders } = new SettingsFile({ dataDir, outputsDir, log });
  const folders = new ImageFolders({ dir: settings.outputs_folder, earlierDirs: [...earlierFolders, outputsDir], dataDir, log });
  const givenDir = await mkdtemp(join(tmpdir(), 'zimage-verify-'));
  const [given, kept] = [createUploads(givenDir, images), createUploads(join(dataDir, 'uploads'), images)];
  const inputs = { find: async (id: string) => (await given.find(id)) ?? kept.find(id) };
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  const hashOf = async (path: string) => (await images.inspect({ path })).pixelsSha256;
  const parts = {
    ...{ inspect: images.inspect, compare: images.compare },
    obstacles: (recipe: Recipe) => repeatObstacles(recipe, { registry, inputs }),
    findMade: async (sha256: string, jobId: string | null) => (store === null ? null : findMadeImage({ store, folders, hashOf }, sha256, jobId)),
    repeat: options.repeat
      ? async (recipe: Recipe) => repeatImage(recipe, { engine: await engines.for(recipe), registry, inputs, signal: abort.signal })
      : undefined,
  };
  try {
    await verifyFiles(files, {
      ...options,
      keep: async (path) => (await given.add(await readFile(path))).description.id,
      verify: async (path) => verifyImage({ bytes: await readFile(path) }, parts),
    });
  } finally {
    store?.close();
    await engines.close();
    await images.close();
    await rm(givenDir, { recursive: true, force: true });
  }
}

/** The engine that repeats images; another one where an image was made with another accuracy or on another kind of device. */
class Engines {
  readonly #dataDir: string;
  readonly #device: DeviceName | 'auto' | undefined;
  readonly #log: { info(fields: object, text: string): void; warn(fields: object, text: string): void };
  #key = '';
  #engine: SupervisedEngine | null = null;

  constructor(
    dataDir: string,
    device: DeviceName | 'auto' | undefined,
    log: { info(fields: object, text: string): void; warn(fields: object, text: string): void },
  ) {
    this.#dataDir = dataDir;
    this.#device = device;
    this.#log = log;
  }

  async for({ made_on }: Recipe): Promise<SupervisedEngine> {
    const device = this.#device ?? (made_on === null || made_on.provider === 'cpu' ? 'cpu' : 'auto');
    const accuracy = made_on?.accuracy ?? 'fast';
    const key = `${device} ${accuracy}`;
    if (this.#engine !== null && this.#key === key) return this.#engine;
    await this.close();
    const engine = await createLocalEngine({ device, accuracy, dataDir: this.#dataDir, log: this.#log });
    this.#key = key;
    this.#engine = engine;
    return engine;
  }

  async close(): Promise<void> {
    await this.#engine?.close();
    this.#engine = null;
  }
}

/** Opens the database, also while a server uses it. Null if it does not exist, or if its version does not record hashes of pixels. */
async function openStore(dataDir: string): Promise<Store | null> {
  const path = join(dataDir, 'jobs.db');
  if (!existsSync(path)) return null;
  const database = await openSqlite(path);
  const hasHashes = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'pixels'").get() !== undefined;
  if (hasHashes) return createStore(database);
  database.close();
  console.error('The database is of an earlier version and was not asked; start the server once to bring it up to date.');
  return null;
}
