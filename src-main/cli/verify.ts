import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions, readCommandWords } from '#main/config/command-options.ts';
import type { SupervisedEngine } from '#main/engine/create-engine.ts';
import { createImages } from '#main/images/images.ts';
import { findMadeImage } from '#main/jobs/images/find-made-image.ts';
import { ImageFolders } from '#main/jobs/images/image-folders.ts';
import { missingModels, repeatImage } from '#main/jobs/repeat-image.ts';
import { openSqlite } from '#main/jobs/store/sqlite.ts';
import { createStore, type Store } from '#main/jobs/store/store.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { verifyImage } from '#main/provenance/verify-image.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { type DeviceName, deviceNameSchema } from '#shared/domain/device.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import { describeVerification, exitCodeOf } from './describe-verification.ts';
import { createLocalEngine } from './local-engine.ts';

export const usage = `Usage: npm run verify -- FILES… [--repeat] [--json] [--device NAME] [--checkpoint DIR] [--data-dir DIR]

Says of each image file whether its pixels are those that were made, whether it was made here and whether it can be
repeated here. A running server is not needed and not disturbed.

  --repeat           make each image again and compare
  --json             one JSON object for each file, as PUT /api/verify answers it
  --device NAME      where images are repeated: cpu, cuda, cuda:1 …, or auto (as at the first time)
  --checkpoint DIR   a checkpoint that is not installed
  --data-dir DIR     data folder with the database (data)

Exit status, the first that applies to any file: 1 a file cannot be read, 2 wrong options, 3 pixels were changed,
4 nothing is known of a file's pixels, 5 a repeated image differs, 6 an image cannot be repeated; else 0.`;

export const optionsSchema = z.object({
  repeat: z.boolean().default(false),
  json: z.boolean().default(false),
  device: z.union([z.literal('auto'), deviceNameSchema]).optional(),
  checkpoint: pathOption.optional(),
  'data-dir': pathOption.optional(),
});

/** Results go to standard output, one line or object a file. */
export async function verify(argv: readonly string[]): Promise<void> {
  const { words, options: optionArguments } = readCommandWords(argv);
  const options = readCommandOptions(optionsSchema, usage, optionArguments);
  if (words.length === 0) throw new AppError('bad_option', `Name at least one file before the options.\n\n${usage}`, { option: 'FILES' });
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
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  const hashOf = async (path: string) => (await images.inspect({ path })).pixelsSha256;
  const parts = {
    ...{ inspect: images.inspect, compare: images.compare },
    missingModels: (recipe: Recipe) => missingModels(recipe, registry),
    findMade: async (sha256: string, jobId: string | null) => (store === null ? null : findMadeImage({ store, folders, hashOf }, sha256, jobId)),
    repeat: options.repeat ? async (recipe: Recipe) => repeatImage(recipe, { engine: await engines.for(recipe), registry, signal: abort.signal }) : undefined,
  };
  const codes: number[] = [];
  try {
    for (const file of words) {
      try {
        const verification = await verifyImage({ bytes: await readFile(file) }, parts);
        console.log(options.json ? JSON.stringify({ file, ...verification }) : `${file}: ${describeVerification(verification).join(' ')}`);
        codes.push(exitCodeOf(verification));
      } catch (thrown) {
        if (abort.signal.aborted) throw thrown;
        const { code, message } = unreadable(thrown, file);
        if (options.json) console.log(JSON.stringify({ file, error: { code, message } }));
        else console.error(`${file}: ${message}`);
        codes.push(1);
      }
    }
  } finally {
    store?.close();
    await engines.close();
    await images.close();
  }
  process.exitCode = Math.min(...codes.filter((code) => code > 0), 7) % 7;
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

function unreadable(thrown: unknown, file: string): { code: string; message: string } {
  const code = errnoCode(thrown);
  if (thrown instanceof AppError || !/^E[A-Z]+$/.test(code)) return toWireError(thrown);
  return { code: 'unknown_image', message: code === 'ENOENT' ? `There is no file ${file}.` : `${file} cannot be read (${code}).` };
}
