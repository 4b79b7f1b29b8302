import { type FetchCounts, noFetchCounts } from '#main/downloads/fetch-file.ts';
import { createKeyedMutex } from '#main/downloads/keyed-mutex.ts';
import { createThrottle, type Pause } from '#main/downloads/throttle.ts';
import { exists } from '#main/lib/exists.ts';
import { orAppError } from '#main/lib/or-app-error.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import type { ModelAction, ModelCompilation, ModelEntry, ModelKind, NewModel } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { bundledUpscalers, catalog } from './catalog.ts';
import { type CheckpointFacts, describeCheckpoint, nameOf } from './describe-checkpoint.ts';
import { createMetadataReader, type ExtraReader, extraPath, isExtraKind } from './extra-files.ts';
import type { HubClient } from './hub/hub-client.ts';
import type { AssertCanRun } from './install-model.ts';
import type { ModelLibrary } from './library.ts';
import { type Found, listModels, type ModelsView, type RecordView, recordEntry } from './list-models.ts';
import { ModelInstaller, modelBusy } from './model-installer.ts';
import type { ModelRecord } from './records.ts';
import { bundledName, type ModelRegistryOptions, openModelRegistry, recordDir } from './registry.ts';

export interface ModelLibraryOptions extends ModelRegistryOptions {
  hub: HubClient;
  /** The compilation of the checkpoint with this fingerprint, or null. */
  compilationOf?: (fingerprint: string) => Promise<ModelCompilation | null>;
  /** Called before a model is downloaded, installed, added or used. */
  assertCanRun?: AssertCanRun;
  extraReader?: ExtraReader;
  pause?: Pause;
}

/** The models of this machine. Closing does not close `hub`. */
export function createModelLibrary(options: ModelLibraryOptions): ModelLibrary & { counts: Readonly<FetchCounts> } {
  const { hub, log, pause, compilationOf = async () => null, assertCanRun = async () => {} } = options;
  const extraReader = options.extraReader ?? { inspect: async () => 'lora', metadata: async () => ({}) };
  const withMetadata = createMetadataReader(extraReader);
  const { registry, hashes, records, cache } = openModelRegistry(options);
  const throttle = createThrottle(records.current.limits.bytes_per_second, pause);
  const counts = noFetchCounts();
  const listeners = new Set<(model: ModelEntry) => void>();
  /** Keeps the events of one model in order. */
  const inOrder = createKeyedMutex();
  const installer = new ModelInstaller({
    ...{ hub, cache, hashes, records, throttle, counts, assertCanRun, log, onChange: tell },
    inspectExtra: async (path) =>
      extraReader.inspect(
        path,
        (await registry.list()).map(({ dir }) => dir),
      ),
    ...(pause === undefined ? {} : { pause }),
  });

  async function viewOf(record: ModelRecord): Promise<RecordView> {
    const state = installer.stateOf(record.name);
    const isExtra = isExtraKind(record.kind);
    const dir = isExtra ? extraPath(record, cache) : recordDir(record, cache);
    const { source } = record;
    const found = state.at !== 'installed' ? null : isExtra ? await orAppError(findExtra(dir)) : await find(dir);
    const files = source.type === 'hub' && found === null ? source.files.map((file) => cache.bytesOf(source.repository, file)) : [];
    // only shown: the download itself reports why the cache cannot be read
    const sizes = await Promise.all(files).catch(() => []);
    return { record, state, dir, found, bytesDone: sizes.reduce((a, b) => a + b, 0) };
  }

  async function findExtra(path: string): Promise<Exclude<Found, AppError>> {
    const { sha256, sizeBytes } = await hashes.hashOf(path);
    return { fingerprint: sha256, sizeBytes, license: 'unknown', compilation: null, metadata: await extraReader.metadata(path) };
  }

  async function find(dir: string): Promise<(CheckpointFacts & Exclude<Found, AppError>) | AppError> {
    try {
      const facts = await describeCheckpoint(dir, hashes);
      return { ...facts, compilation: await compilationOf(facts.fingerprint) };
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown;
      throw thrown;
    }
  }

  async function entries(): Promise<ModelEntry[]> {
    const bundledTypes = await Promise.all(modelTypeSchema.options.map(async (kind) => ({ kind, isHere: await exists(registry.bundledDir(kind)) })));
    const view: ModelsView = {
      active: await activeNames(),
      bundled: await Promise.all(
        bundledTypes
          .filter(({ isHere }) => isHere)
          .map(async ({ kind }) => ({ name: bundledName(kind), kind, dir: registry.bundledDir(kind), found: await find(registry.bundledDir(kind)) })),
      ),
      named: await Promise.all(
        registry.namedDirs.map(async (dir) => {
          const found = await find(dir);
          const kind = found instanceof AppError ? (registry.lastKindOf(dir) ?? 'uint4') : found.modelType;
          return { name: nameOf(dir), kind, dir, found };
        }),
      ),
      records: await Promise.all(records.current.models.map(viewOf)),
      foreignNames: records.foreignNames(),
      available: await Promise.all(
        catalog
          .filter(({ repository }) => records.find(repository) === undefined && !records.foreignNames().includes(repository))
          // a cache that cannot be read offers nothing; a download reports why
          .map(async (model) => ({ model, cachedDir: await cache.mainSnapshot(model.repository).catch(() => null) })),
      ),
      upscalers: await registry.upscalers(),
    };
    await hashes.save();
    return listModels(view);
  }

  async function entryOf(name: string): Promise<ModelEntry> {
    const record = records.find(name);
    if (record !== undefined) return recordEntry(await viewOf(record), await activeNames());
    const entry = (await entries()).find((candidate) => candidate.name === name);
    if (entry === undefined) throw new AppError('unknown_model', `There is no model ${JSON.stringify(name)}. GET /api/models lists all models.`, {});
    return entry;
  }

  /** By kind; a broken `--checkpoint` folder of unknown kind leaves no model active. */
  async function activeNames(): Promise<Map<ModelKind, string>> {
    const upscaler = bundledUpscalers.find((name) => name === records.current.chosen.upscaler) ?? bundledUpscalers[0];
    const names = new Map<ModelKind, string>([['upscaler', upscaler]]);
    for (const type of modelTypeSchema.options) {
      const choice = await registry.choiceFor(type).catch((thrown: unknown) => {
        if (thrown instanceof AppError) return null;
        throw thrown;
      });
      if (choice !== null) names.set(type, choice.name);
    }
    return names;
  }

  async function act(name: string, action: ModelAction): Promise<ModelEntry> {
    return installer.exclusively(name, async () => {
      const entry = await entryOf(name);
      if (records.foreignNames().includes(name)) throw modelBusy(name, entry.state, 'it was recorded by another version of this program');
      const result = await perform(entry, action);
      return result ?? entryOf(name);
    });
  }

  /** The entry afterwards where it cannot be looked up by its name. */
  async function perform(entry: ModelEntry, action: ModelAction): Promise<ModelEntry | null> {
    switch (action) {
      case 'install':
      case 'resume':
        return install(entry, action);
      case 'pause':
        await installer.pause(recordFor(entry, 'only a waiting or running download can be paused').name);
        return null;
      case 'remove':
        await installer.remove(
          recordFor(entry, entry.source.type === 'bundled' ? 'it comes with the program and cannot be removed' : 'there is nothing to remove'),
        );
        return absent(entry);
      case 'verify':
        installer.verify(recordFor(entry, 'only a downloaded or added model can be verified'));
        return null;
      case 'use':
        await use(entry);
        return null;
    }
  }

  function recordFor(entry: ModelEntry, otherwise: string): ModelRecord {
    const record = records.find(entry.name);
    if (record === undefined) throw modelBusy(entry.name, entry.state, otherwise);
    return record;
  }

  /** What is left of a removed model: its entry in the catalog, or a final event for listeners. */
  async function absent(entry: ModelEntry): Promise<ModelEntry> {
    if (catalog.some(({ repository }) => repository === entry.name)) return entryOf(entry.name);
    const gone: ModelEntry = { ...entry, state: 'absent', active: false, identity: null, bytes_done: 0, error: null, compilation: null };
    await inOrder(entry.name, async () => {
      for (const listener of listeners) listener(gone);
    });
    return gone;
  }

  async function install(entry: ModelEntry, action: 'install' | 'resume'): Promise<ModelEntry | null> {
    const { name, kind, license, state, source } = entry;
    if (state === 'installed' && action === 'install') return null;
    if (source.type !== 'hub' || source.repository === null || kind === 'upscaler')
      throw modelBusy(name, state, 'its files are in a folder that is used in place, not downloaded');
    // another tool has downloaded it already
    if (state === 'absent' && source.path !== null && action === 'install') return entryOf(await addFolder(source.path));
    await installer.install({ name, kind, repository: source.repository, license }, action, state === 'damaged');
    return null;
  }

  async function use({ name, kind, state, source }: ModelEntry): Promise<void> {
    if (state !== 'installed') throw modelBusy(name, state, 'only an installed model can be used');
    const before = (await activeNames()).get(kind);
    if (before === name) return;
    if (isExtraKind(kind)) throw modelBusy(name, state, 'LoRAs and ControlNets are named by each job');
    if (kind !== 'upscaler') {
      const choice = await registry.choiceFor(kind);
      if (choice !== null && registry.namedDirs.includes(choice.dir))
        throw modelBusy(name, state, 'the server was started with --checkpoint, which has priority');
      if (source.path !== null) await assertCanRun(source.path, 'all');
    }
    await records.change(({ chosen }) => {
      chosen[kind] = name;
    });
    if (before !== undefined) tell(before);
    tell(name);
  }

  async function add(model: NewModel): Promise<ModelEntry> {
    if (model.dir !== undefined) return entryOf(await addFolder(model.dir));
    const { repository, revision = 'main', file } = model;
    if (repository === undefined) return entryOf(await addFile(file ?? ''));
    const name = file === undefined ? repository : `${repository}/${file}`;
    return installer.exclusively(name, async () => {
      if (records.foreignNames().includes(name)) throw modelBusy(name, 'damaged', 'it was recorded by another version of this program');
      if (records.find(name) === undefined) await installer.addRepository(name, repository, revision, file);
      else await install(await entryOf(name), 'install');
      return entryOf(name);
    });
  }

  async function addFile(path: string): Promise<string> {
    const extras = [...(await registry.loras()), ...(await registry.controlNets())];
    const others = [...extras, ...(await entries())].filter(({ name }) => records.find(name) === undefined);
    return installer.exclusively('/folders', () => installer.addFile(path, new Set(others.map(({ name }) => name))));
  }

  /** Serialised for all folders, so that one folder that is added twice is found the second time. */
  async function addFolder(dir: string): Promise<string> {
    const others = (await entries()).filter(({ name, state }) => state !== 'absent' && records.find(name) === undefined);
    return installer.exclusively('/folders', () => installer.addFolder(dir, new Set(others.map(({ name }) => name))));
  }

  function tell(name: string): void {
    if (listeners.size === 0) return;
    inOrder(name, async () => {
      const entry = await entryOf(name);
      for (const listener of listeners) listener(entry);
    }).catch((error: unknown) => {
      // a removed model has no entry; `absent` has notified the listeners
      if (!(error instanceof AppError) || error.code !== 'unknown_model') log.warn({ model: name, err: error }, 'the state of a model cannot be reported');
    });
  }

  return {
    checkpointFor: registry.checkpointFor,
    upscaler: registry.upscaler,
    upscalers: registry.upscalers,
    loras: async () => withMetadata(await registry.loras()),
    controlNets: registry.controlNets,
    list: registry.list,
    assertNamedFolders: registry.assertNamedFolders,
    entries,
    act,
    add,
    cacheDir: options.cacheDir,
    counts,
    limits: () => records.current.limits,
    async setLimits(limits) {
      await records.change((content) => {
        content.limits = limits;
      });
      throttle.set(limits.bytes_per_second);
      return limits;
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start: () => installer.start(),
    async close() {
      listeners.clear();
      await installer.close();
    },
  };
}
