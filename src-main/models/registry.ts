import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { exists } from '#main/lib/exists.ts';
import type { JsonFileLog } from '#main/lib/json-file.ts';
import { orAppError } from '#main/lib/or-app-error.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { type ModelType, modelTypeSchema } from '#shared/domain/job.ts';
import type { ExtraKind } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { bundledUpscalers, UPSCALER_LICENSE } from './catalog.ts';
import type { BrokenUpscaler, Checkpoint, ExtraModel, ModelRegistry, Upscaler } from './checkpoint.ts';
import { describeCheckpoint, fingerprintOf, modelTypeOf, nameOf } from './describe-checkpoint.ts';
import { extraPath, isExtraKind } from './extra-files.ts';
import { type FileHashes, openFileHashes } from './file-hashes.ts';
import { createHubCache, type HubCache } from './hub/hub-cache.ts';
import { type ModelRecord, type ModelRecords, openModelRecords } from './records.ts';

export interface ModelRegistryOptions {
  /** Contains `models/` and `upscalers/`, which come with the program. */
  resourcesDir: string;
  /** Contains the hashes and the list of models. */
  dataDir: string;
  /** Folders that replace all other checkpoints of their kind; of two of one kind the last counts. */
  checkpointDirs: readonly string[];
  /** Contains the downloads. */
  cacheDir: string;
  log: JsonFileLog;
}

interface RegistryParts extends Pick<ModelRegistryOptions, 'resourcesDir' | 'checkpointDirs'> {
  /** Contains the folders `loras` and `controlnets` with files that the user puts there. */
  dataDir: string;
  hashes: FileHashes;
  records: ModelRecords;
  cache: HubCache;
}

/** The checkpoint that runs for a `model_type`. */
export interface Choice {
  name: string;
  dir: string;
  bundled: boolean;
  record: ModelRecord | null;
}

export interface ChoosingRegistry extends ModelRegistry {
  /** The choice for a kind, or null; the folder is not opened and may be broken. Throws if a folder of `checkpointDirs` whose kind is unknown is broken. */
  choiceFor(modelType: ModelType): Promise<Choice | null>;
  /** The folders of `checkpointDirs`, resolved. */
  readonly namedDirs: readonly string[];
  /** The kind that a folder of `checkpointDirs` had when it was last readable, or null. */
  lastKindOf(namedDir: string): ModelType | null;
  bundledDir(modelType: ModelType): string;
  /** Throws why a folder of `checkpointDirs` cannot be used. */
  assertNamedFolders(): Promise<void>;
}

/** Opens the registry over what earlier runs left in the data folder and the cache. */
export function openModelRegistry(
  options: ModelRegistryOptions,
): Omit<RegistryParts, 'resourcesDir' | 'dataDir' | 'checkpointDirs'> & { registry: ChoosingRegistry } {
  const { resourcesDir, dataDir, checkpointDirs, cacheDir, log } = options;
  const hashes = openFileHashes(join(dataDir, 'identities.json'), log);
  const records = openModelRecords(join(dataDir, 'models.json'), log);
  const cache = createHubCache(cacheDir);
  return { registry: createModelRegistry({ resourcesDir, dataDir, checkpointDirs, hashes, records, cache }), hashes, records, cache };
}

/** Where the files of an installed model are. */
export function recordDir({ source }: ModelRecord, cache: HubCache): string {
  return source.type === 'folder' ? source.dir : cache.snapshotDir(source.repository, source.commit ?? '');
}

export function bundledName(modelType: ModelType): string {
  return `storybook-${modelType}`;
}

/**
 * Checkpoints and upscalers on this machine. Files are checked at each request, so an edited checkpoint has a new fingerprint at the next one.
 * Order of choice: a folder of `checkpointDirs`, the model that the user chose, the model that was installed last, the bundled one.
 */
function createModelRegistry({ resourcesDir, dataDir, checkpointDirs, hashes, records, cache }: RegistryParts): ChoosingRegistry {
  const bundledDir = (modelType: ModelType): string => join(resourcesDir, 'models', bundledName(modelType));
  const namedDirs = checkpointDirs.map((dir) => resolve(dir));
  const lastKinds = new Map<string, ModelType>();

  async function describe({ name, dir, bundled, record }: Choice): Promise<Checkpoint> {
    const facts = await describeCheckpoint(dir, hashes);
    if (record?.source.type === 'hub' && record.identity !== facts.fingerprint) throw editedDownload(name, dir);
    const license = bundled ? 'Apache-2.0' : record?.source.type === 'hub' ? record.source.license : facts.license;
    return { ...facts, license, name, dir, bundled };
  }

  const named = (dir: string): Choice => ({ name: nameOf(dir), dir, bundled: false, record: null });
  const recorded = (record: ModelRecord): Choice => ({ name: record.name, dir: recordDir(record, cache), bundled: false, record });
  const bundled = (type: ModelType): Choice => ({ name: bundledName(type), dir: bundledDir(type), bundled: true, record: null });
  const installed = (): ModelRecord[] => records.current.models.filter(({ state }) => state === 'installed');
  const isCheckpoint = ({ kind }: ModelRecord): boolean => !isExtraKind(kind);

  /** A broken folder counts as what it was before; it must not stop the other kind. */
  async function kindOf(namedDir: string): Promise<ModelType> {
    const found = await orAppError(modelTypeOf(namedDir));
    if (!(found instanceof AppError)) lastKinds.set(namedDir, found);
    const kind = lastKinds.get(namedDir);
    if (kind === undefined) throw found;
    return kind;
  }

  async function choiceFor(modelType: ModelType): Promise<Choice | null> {
    const kinds = await Promise.all(namedDirs.map(kindOf));
    const dir = namedDirs.filter((_, i) => kinds[i] === modelType).at(-1);
    if (dir !== undefined) return named(dir);
    const ofKind = installed().filter(({ kind }) => kind === modelType);
    const chosenName = records.current.chosen[modelType];
    const own = bundled(modelType);
    const record = ofKind.find(({ name }) => name === chosenName) ?? ofKind.at(-1);
    if (chosenName !== own.name && record !== undefined) return recorded(record);
    return (await exists(own.dir)) ? own : null;
  }

  async function andSaveHashes<T>(task: Promise<T>): Promise<T> {
    const result = await task;
    await hashes.save();
    return result;
  }

  async function upscalerAt(name: string, path: string): Promise<Upscaler> {
    return { name, path, ...(await andSaveHashes(fingerprintOf(dirname(path), [basename(path)], hashes))), license: UPSCALER_LICENSE };
  }

  /** Those in their folder, and the installed ones whose file is still there. */
  async function extras(kind: ExtraKind): Promise<ExtraModel[]> {
    const dir = join(dataDir, `${kind}s`);
    const names = (await unlessMissing(readdir(dir), [])).filter((name) => name.endsWith('.safetensors'));
    const files = [
      ...names.map((name) => ({ name: name.replace(/\.safetensors$/, ''), path: join(dir, name) })),
      ...installed().flatMap((record) => (record.kind === kind ? [{ name: record.name, path: extraPath(record, cache) }] : [])),
    ];
    const found = await andSaveHashes(Promise.all(files.map((file) => orAppError(withHash(file)))));
    return found.flatMap((extra) => (extra instanceof AppError ? [] : [extra])).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async function withHash({ name, path }: { name: string; path: string }): Promise<ExtraModel> {
    const { sha256, sizeBytes } = await hashes.hashOf(path);
    return { name, path, fingerprint: sha256, sizeBytes };
  }

  const upscalerPath = (name: string): string => join(resourcesDir, 'upscalers', `${name}.safetensors`);

  return {
    namedDirs,
    lastKindOf: (namedDir) => lastKinds.get(namedDir) ?? null,
    bundledDir,
    choiceFor,

    async upscalers() {
      const present: (Upscaler | BrokenUpscaler)[] = [];
      for (const name of bundledUpscalers) {
        const path = upscalerPath(name);
        if (!(await exists(path))) continue;
        const found = await orAppError(upscalerAt(name, path));
        present.push(found instanceof AppError ? { name, path, error: found } : found);
      }
      return present;
    },

    loras: () => extras('lora'),
    controlNets: () => extras('controlnet'),

    async checkpointFor(modelType) {
      const choice = await choiceFor(modelType);
      if (choice !== null) return andSaveHashes(describe(choice));
      const message = `No ${modelType} checkpoint is installed: the bundled ${bundledDir(modelType)} is missing. Start with --checkpoint DIR, or install the program again.`;
      throw new AppError('model_not_installed', message, { modelType });
    },

    async upscaler() {
      const chosen = records.current.chosen.upscaler;
      const name = bundledUpscalers.find((known) => known === chosen) ?? bundledUpscalers[0];
      return upscalerAt(name, upscalerPath(name));
    },

    async list() {
      const choices = [...namedDirs.map(named), ...installed().filter(isCheckpoint).map(recorded), ...modelTypeSchema.options.map(bundled)];
      const all = await andSaveHashes(Promise.all(choices.map((choice) => orAppError(describe(choice)))));
      return all.flatMap((found) => {
        if (!(found instanceof AppError)) return [found];
        // without free file descriptors nothing is known about the checkpoint
        if (found.code === 'too_many_open_files') throw found;
        return [];
      });
    },

    async assertNamedFolders() {
      for (const dir of namedDirs) {
        await kindOf(dir);
        await andSaveHashes(describe(named(dir)));
      }
    },
  };
}

/** A download runs only as its repository has it; the user may edit a folder of their own. */
function editedDownload(name: string, dir: string): AppError<'checkpoint_damaged'> {
  const message = `The files of ${name} in ${dir} have changed since they were downloaded. Verify it, or install it again.`;
  return new AppError('checkpoint_damaged', message, { path: dir });
}
