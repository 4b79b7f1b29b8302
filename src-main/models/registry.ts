import { basename, dirname, join, resolve } from 'node:path';
import { type ModelType, modelTypeSchema } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { bundledUpscalers, UPSCALER_LICENSE } from './catalog.ts';
import type { Checkpoint, ModelRegistry, Upscaler } from './checkpoint.ts';
import { describeCheckpoint, exists, fingerprintOf, modelTypeOf, nameOf } from './describe-checkpoint.ts';
import { createFileHashes, type FileHashes, type ModelsLog } from './file-hashes.ts';
import { createHubCache, type HubCache } from './hub/hub-cache.ts';
import { loadModelRecords, type ModelRecord, type ModelRecords } from './records.ts';

export interface ModelRegistryOptions {
  /** Holds `models/` and `upscalers/`, which come with the program. */
  resourcesDir: string;
  /** Where hashes and the list of models are kept. */
  dataDir: string;
  /** Folders that take the place of every other checkpoint of their kind; of two of one kind the last counts. */
  checkpointDirs: readonly string[];
  /** Where downloads are. */
  cacheDir: string;
  log: ModelsLog;
}

interface RegistryParts {
  resourcesDir: string;
  checkpointDirs: readonly string[];
  hashes: FileHashes;
  records: ModelRecords;
  cache: HubCache;
}

/** Which checkpoint runs for a `model_type`. */
export interface Choice {
  name: string;
  dir: string;
  bundled: boolean;
  record: ModelRecord | null;
}

export interface ChoosingRegistry extends ModelRegistry {
  /** Without looking into the folder: it may be broken. Null where there is none. */
  choiceFor(modelType: ModelType): Promise<Choice | null>;
  upscalers(): Promise<Upscaler[]>;
  /** The folders of `checkpointDirs`, resolved. */
  readonly namedDirs: readonly string[];
  bundledDir(modelType: ModelType): string;
}

/** The registry over what earlier runs have left in the data folder and the cache. */
export async function openModelRegistry(
  options: ModelRegistryOptions,
): Promise<Omit<RegistryParts, 'resourcesDir' | 'checkpointDirs'> & { registry: ChoosingRegistry }> {
  const { resourcesDir, dataDir, checkpointDirs, cacheDir, log } = options;
  const hashes = createFileHashes(join(dataDir, 'identities.json'), log);
  const records = await loadModelRecords(join(dataDir, 'models.json'), log);
  const cache = createHubCache(cacheDir);
  return { registry: createModelRegistry({ resourcesDir, checkpointDirs, hashes, records, cache }), hashes, records, cache };
}

/** Where an installed model's files are. */
export function recordDir({ source }: ModelRecord, cache: HubCache): string {
  return source.type === 'folder' ? source.dir : cache.snapshotDir(source.repository, source.commit ?? '');
}

/**
 * Checkpoints and upscalers on this machine. Files are looked at when they are asked for, so an edited checkpoint has another identity at the next request.
 * Order of choice: a folder named at the start, the model that was chosen, the one that was installed last, the bundled one.
 */
function createModelRegistry({ resourcesDir, checkpointDirs, hashes, records, cache }: RegistryParts): ChoosingRegistry {
  const bundledDir = (modelType: ModelType): string => join(resourcesDir, 'models', bundledName(modelType));
  const namedDirs = checkpointDirs.map((dir) => resolve(dir));

  async function describe({ name, dir, bundled, record }: Choice): Promise<Checkpoint> {
    const facts = await describeCheckpoint(dir, hashes);
    if (record?.source.type === 'hub' && record.identity !== facts.fingerprint) throw editedDownload(name, dir);
    const license = bundled ? 'Apache-2.0' : record?.source.type === 'hub' ? record.source.license : facts.license;
    return { ...facts, license, name, dir, bundled };
  }

  const named = (dir: string): Choice => ({ name: nameOf(dir), dir, bundled: false, record: null });
  const recorded = (record: ModelRecord): Choice => ({ name: record.name, dir: recordDir(record, cache), bundled: false, record });
  const bundled = (type: ModelType): Choice => ({ name: bundledName(type), dir: bundledDir(type), bundled: true, record: null });
  const installed = (): ModelRecord[] => records.current().models.filter(({ state }) => state === 'installed');

  async function choiceFor(modelType: ModelType): Promise<Choice | null> {
    const types = await Promise.all(namedDirs.map(modelTypeOf));
    const dir = namedDirs.filter((_, i) => types[i] === modelType).at(-1);
    if (dir !== undefined) return named(dir);
    const ofKind = installed().filter(({ kind }) => kind === modelType);
    const chosenName = records.current().chosen[modelType];
    const own = bundled(modelType);
    const isOwnChosen = chosenName === own.name || ofKind.length === 0;
    const record = ofKind.find(({ name }) => name === chosenName) ?? ofKind.at(-1);
    if (!isOwnChosen && record !== undefined) return recorded(record);
    return (await exists(own.dir)) ? own : null;
  }

  async function remembering<T>(task: Promise<T>): Promise<T> {
    const result = await task;
    await hashes.save();
    return result;
  }

  async function upscalerAt(name: string, path: string): Promise<Upscaler> {
    const { fingerprint, sizeBytes } = await remembering(fingerprintOf(dirname(path), [basename(path)], hashes));
    return { name, path, fingerprint, sizeBytes, license: UPSCALER_LICENSE };
  }

  async function upscalers(): Promise<Upscaler[]> {
    const present: Upscaler[] = [];
    for (const name of bundledUpscalers) {
      const path = join(resourcesDir, 'upscalers', `${name}.safetensors`);
      if (!(await exists(path))) continue;
      present.push(await upscalerAt(name, path));
    }
    return present;
  }

  return {
    namedDirs,
    bundledDir,
    choiceFor,
    upscalers,

    async checkpointFor(modelType) {
      const choice = await choiceFor(modelType);
      if (choice !== null) return remembering(describe(choice));
      const message = `No ${modelType} checkpoint is installed: ${bundledDir(modelType)}, which comes with the program, is missing. Start with --checkpoint DIR, or install the program again.`;
      throw new AppError('model_not_installed', message, { modelType });
    },

    async upscaler() {
      const name = records.current().chosen.upscaler ?? bundledUpscalers[0];
      const path = join(resourcesDir, 'upscalers', `${name}.safetensors`);
      return upscalerAt(name, path);
    },

    async list() {
      const own = await Promise.all(modelTypeSchema.options.map(async (type) => ((await exists(bundledDir(type))) ? [bundled(type)] : [])));
      const ofNamed = namedDirs.map((dir) => describe(named(dir)));
      // an installed one that broke is told by the library; a job that asks for it hears why
      const others = installed().map((record) => describe(recorded(record)).catch(unlessBroken));
      const all = await remembering(Promise.all([...ofNamed, ...others, ...own.flat().map(describe)]));
      return all.filter((checkpoint) => checkpoint !== null);
    },
  };
}

function bundledName(modelType: ModelType): string {
  return `storybook-${modelType}`;
}

function unlessBroken(thrown: unknown): null {
  if (thrown instanceof AppError) return null;
  throw thrown;
}

/** A download is what its repository says or it does not run; a folder of the user's own may change. */
function editedDownload(name: string, dir: string): AppError<'checkpoint_damaged'> {
  return new AppError('checkpoint_damaged', `The files of ${name} in ${dir} are not those that were downloaded any more; verify it, or install it again.`, {
    path: dir,
  });
}
