import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type FetchCounts, noFetchCounts } from '#main/downloads/fetch-file.ts';
import { createThrottle, type Pause } from '#main/downloads/throttle.ts';
import { beginTransfer, progressOf, TOLD_EVERY_MS, type Transfer } from '#main/downloads/transfer.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import type { ModelAction, ModelCompilation, ModelEntry, ModelKind, NewModel } from '#shared/domain/model.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import { bundledUpscalers, type CatalogModel, catalog } from './catalog.ts';
import type { Checkpoint, Upscaler } from './checkpoint.ts';
import { assertWeights, describeCheckpoint, nameOf, relevantPaths } from './describe-checkpoint.ts';
import { type DownloadParts, downloadModel, fetchConfigs, hasContent, type PinnedSource, pinSource } from './download-model.ts';
import type { ModelsLog } from './file-hashes.ts';
import type { HubClient } from './hub/hub-client.ts';
import type { ModelLibrary } from './library.ts';
import type { ModelRecord } from './records.ts';
import { openModelRegistry, recordDir } from './registry.ts';

export interface ModelLibraryOptions {
  resourcesDir: string;
  /** Where hashes and the list of models are kept. */
  dataDir: string;
  checkpointDirs: readonly string[];
  /** Where downloads go, in the layout of the Hugging Face cache. */
  cacheDir: string;
  hub: HubClient;
  /** The compilation of the checkpoint with this fingerprint, or null. */
  compilationOf?: (fingerprint: string) => Promise<ModelCompilation | null>;
  log: ModelsLog;
  pause?: Pause;
}

/** The models of this machine. Closing does not close `hub`. */
export async function createModelLibrary(options: ModelLibraryOptions): Promise<ModelLibrary & { counts: Readonly<FetchCounts> }> {
  const { resourcesDir, dataDir, checkpointDirs, cacheDir, hub, log, pause } = options;
  const compilationOf = options.compilationOf ?? (async () => null);
  const { registry, hashes, records, cache } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs, cacheDir, log });
  const throttle = createThrottle(records.current().limits.bytes_per_second, pause);
  const counts = noFetchCounts();
  const listeners = new Set<(model: ModelEntry) => void>();
  /** What is being done to a model now. */
  const work = new Map<string, Work>();
  let isStarted = false;

  const recordOf = (name: string): ModelRecord | undefined => records.current().models.find((record) => record.name === name);

  async function changeRecord(name: string, edit: (record: ModelRecord) => void): Promise<void> {
    await records.change(({ models }) => {
      const record = models.find((candidate) => candidate.name === name);
      if (record !== undefined) edit(record);
    });
    tell(name);
  }

  // ---- what there is

  async function entries(): Promise<ModelEntry[]> {
    const active = await activeNames();
    const bundled = await Promise.all(
      modelTypeSchema.options.map((type) => folderEntry(`storybook-${type}`, registry.bundledDir(type), type, 'bundled', active)),
    );
    const upscalers = (await registry.upscalers()).map((upscaler) => upscalerEntry(upscaler, active));
    const named = await Promise.all(registry.namedDirs.map((dir) => folderEntry(nameOf(dir), dir, null, 'folder', active)));
    const recorded = await Promise.all(records.current().models.map((record) => recordEntry(record, active)));
    const absent = await Promise.all(catalog.filter(({ repository }) => recordOf(repository) === undefined).map((model) => catalogEntry(model)));
    await hashes.save();
    return [...named, ...recorded, ...absent, ...bundled, ...upscalers].filter((entry) => entry !== null);
  }

  async function entryOf(name: string): Promise<ModelEntry> {
    const record = recordOf(name);
    if (record !== undefined) return recordEntry(record, await activeNames());
    const entry = (await entries()).find((candidate) => candidate.name === name);
    if (entry === undefined) throw unknownModel(name);
    return entry;
  }

  /** By kind; a named folder that is broken makes none of its kind active. */
  async function activeNames(): Promise<Map<ModelKind, string>> {
    const names = new Map<ModelKind, string>([['upscaler', records.current().chosen.upscaler ?? bundledUpscalers[0]]]);
    for (const type of modelTypeSchema.options) {
      const choice = await registry.choiceFor(type).catch(unlessOurs);
      if (choice !== null) names.set(type, choice.name);
    }
    return names;
  }

  async function folderEntry(
    name: string,
    dir: string,
    kind: ModelKind | null,
    type: 'bundled' | 'folder',
    active: Map<ModelKind, string>,
  ): Promise<ModelEntry | null> {
    const facts = await describeCheckpoint(dir, hashes).catch(ours);
    const known = kind ?? (facts instanceof AppError ? null : facts.modelType);
    if (known === null || (type === 'bundled' && facts instanceof AppError && facts.code === 'checkpoint_missing')) return null;
    return {
      ...blank(name, known, active),
      license: type === 'bundled' ? 'Apache-2.0' : facts instanceof AppError ? 'unknown' : facts.license,
      source: { type, repository: null, revision: null, path: dir },
      ...(await contentOf(facts)),
    };
  }

  async function recordEntry(record: ModelRecord, active: Map<ModelKind, string>): Promise<ModelEntry> {
    const { name, kind, source } = record;
    const isHub = source.type === 'hub';
    const base = {
      ...blank(name, kind, active),
      license: isHub ? source.license : 'unknown',
      source: {
        type: source.type,
        repository: isHub ? source.repository : null,
        revision: isHub ? source.commit : null,
        path: record.state === 'installed' ? recordDir(record, cache) : null,
      },
    };
    const doing = work.get(name);
    if (doing !== undefined) return { ...base, ...progressOf(doing), bytes_total: doing.total === 0 ? publishedBytes(name) : doing.total };
    if (record.state === 'installed') return { ...base, ...(await installedContent(record)) };
    const total = isHub ? source.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) : 0;
    const done = isHub ? (await Promise.all(source.files.map((file) => cache.bytesOf(source.repository, file)))).reduce((a, b) => a + b, 0) : 0;
    return {
      ...base,
      state: record.state,
      error: record.error && { code: record.error.code, message: record.error.message },
      bytes_done: done,
      bytes_total: total === 0 ? publishedBytes(name) : total,
    };
  }

  async function installedContent(record: ModelRecord): Promise<Partial<ModelEntry> & Pick<ModelEntry, 'state'>> {
    const dir = recordDir(record, cache);
    const facts = await describeCheckpoint(dir, hashes).catch(ours);
    const content = await contentOf(facts);
    if (facts instanceof AppError) return content;
    const license = record.source.type === 'hub' ? record.source.license : facts.license;
    if (facts.fingerprint === record.identity) return { ...content, license };
    const advice = record.source.type === 'hub' ? 'install it again, only what changed is fetched' : 'verify it to take the folder as it is now';
    const message = `The files in ${dir} are not those that were there when the model was ${record.source.type === 'hub' ? 'downloaded' : 'added'}; ${advice}.`;
    return { ...content, license, state: 'damaged', error: { code: 'checkpoint_damaged', message } };
  }

  async function contentOf(facts: Pick<Checkpoint, 'fingerprint' | 'sizeBytes'> | AppError): Promise<Partial<ModelEntry> & Pick<ModelEntry, 'state'>> {
    if (facts instanceof AppError) return { state: 'damaged', error: { code: facts.code, message: facts.message } };
    const { fingerprint, sizeBytes } = facts;
    return { state: 'installed', identity: fingerprint, bytes_done: sizeBytes, bytes_total: sizeBytes, compilation: await compilationOf(fingerprint) };
  }

  async function catalogEntry({ repository, kind, license, sizeBytes }: CatalogModel): Promise<ModelEntry> {
    return {
      ...blank(repository, kind, new Map()),
      license,
      source: { type: 'hub', repository, revision: null, path: await cache.mainSnapshot(repository) },
      bytes_total: sizeBytes,
    };
  }

  // ---- what is done

  /** Downloads go one after the other; hashing may run beside them. */
  function pump(): void {
    if (!isStarted || [...work.values()].some(({ state }) => state === 'downloading')) return;
    const next = records.current().models.find(({ name, state }) => state === 'queued' && !work.has(name));
    if (next !== undefined) void begin(next.name, 'downloading', (doing) => install(next.name, doing));
  }

  /** Runs `task` as what is being done to a model; its failure becomes the model's. */
  async function begin(name: string, state: Work['state'], task: (doing: Work) => Promise<void>): Promise<void> {
    const doing: Work = beginTransfer(state);
    work.set(name, doing);
    const running = task(doing).catch(async (thrown: unknown) => {
      if (doing.abort.signal.aborted) return;
      log.warn({ model: name, cause: errnoCode(thrown) }, 'a model could not be installed');
      await changeRecord(name, (record) => Object.assign(record, { state: 'failed', error: toWireError(thrown) }));
    });
    doing.ended = running.finally(() => {
      work.delete(name);
      tell(name);
      pump();
    });
    tell(name);
    return doing.ended;
  }

  async function install(name: string, doing: Work): Promise<void> {
    const { signal } = doing.abort;
    const source = await pinned(name, signal);
    doing.total = source.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const parts = downloadParts(name, doing);
    const kind = await fetchConfigs(source, parts);
    await downloadModel(source, parts);
    const { fingerprint: identity } = await describeCheckpoint(cache.snapshotDir(source.repository, source.commit), hashes);
    await hashes.save();
    signal.throwIfAborted();
    await changeRecord(name, (record) => Object.assign(record, { kind, state: 'installed', error: null, identity }));
  }

  /** The commit and the files of a download are asked for once; it goes on with those even when the repository has moved on. */
  async function pinned(name: string, signal: AbortSignal): Promise<PinnedSource> {
    const source = recordOf(name)?.source;
    if (source?.type !== 'hub') throw unknownModel(name);
    const { commit } = source;
    if (commit !== null) return { ...source, commit };
    const fresh = await pinSource(hub, source.repository, source.revision, signal);
    await changeRecord(name, (record) => Object.assign(record, { source: fresh }));
    return fresh;
  }

  function downloadParts(name: string, doing: Work): DownloadParts {
    const onBytes = (done: number): void => {
      doing.done = done;
      doing.speed.count(done);
      if (performance.now() - doing.toldAt > TOLD_EVERY_MS) tell(name);
    };
    return { hub, cache, hashes, throttle, signal: doing.abort.signal, onBytes, counts, ...(pause === undefined ? {} : { pause }) };
  }

  async function verify(record: ModelRecord, doing: Work): Promise<void> {
    const { name, source } = record;
    if (source.type === 'hub') await verifyBlobs(name, { ...source, commit: source.commit ?? '' }, doing);
    else await forgetFolder(source.dir);
    const dir = recordDir(record, cache);
    await assertWeights(dir);
    const { fingerprint: identity, modelType } = await describeCheckpoint(dir, hashes);
    await hashes.save();
    // a download keeps the identity that its repository gave it: what differs now is damage
    await changeRecord(name, (changed) => Object.assign(changed, source.type === 'folder' ? { identity, kind: modelType } : {}));
  }

  async function verifyBlobs(name: string, source: PinnedSource, doing: Work): Promise<void> {
    const onBytes = downloadParts(name, doing).onBytes;
    doing.total = source.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    let done = 0;
    for (const file of source.files) {
      doing.abort.signal.throwIfAborted();
      const blob = cache.blobPath(source.repository, file.hash);
      await hashes.forget(blob).catch(unlessOurs); // one that is missing is told by what follows
      await hasContent(blob, file, hashes);
      done += file.sizeBytes;
      onBytes(done);
    }
  }

  async function forgetFolder(dir: string): Promise<void> {
    for (const path of await relevantPaths(dir)) await hashes.forget(join(dir, path));
  }

  async function stop(name: string): Promise<void> {
    const doing = work.get(name);
    doing?.abort.abort(new AppError('cancelled', 'The download was stopped.', {}));
    await doing?.ended;
  }

  async function act(name: string, action: ModelAction): Promise<ModelEntry> {
    const entry = await entryOf(name);
    switch (action) {
      case 'install':
      case 'resume':
        await queueUp(entry, action);
        break;
      case 'pause':
        if (entry.state !== 'queued' && entry.state !== 'downloading') throw busy(entry, 'only a waiting or running download can be paused');
        await changeRecord(name, (record) => Object.assign(record, { state: 'paused' }));
        await stop(name);
        break;
      case 'remove':
        await remove(entry);
        break;
      case 'verify':
        startVerifying(entry);
        break;
      case 'use':
        await use(entry);
        break;
    }
    return entryOf(name).catch(() => ({ ...entry, state: 'absent', active: false }));
  }

  async function queueUp(entry: ModelEntry, action: 'install' | 'resume'): Promise<void> {
    const { name, state, source } = entry;
    if (state === 'queued' || state === 'downloading' || (state === 'installed' && action === 'install')) return;
    if (source.type !== 'hub' || source.repository === null) throw busy(entry, 'its files lie in a folder that is used in place and is not downloaded');
    if (action === 'resume' && state !== 'paused' && state !== 'failed') throw busy(entry, 'only a paused or failed download can be resumed');
    if (recordOf(name) !== undefined) {
      await changeRecord(name, (record) => Object.assign(record, { state: 'queued', error: null }));
    } else if (source.path !== null) {
      // another tool has it in the cache already: it is used there
      await addFolder(source.path);
      return;
    } else {
      const fresh: ModelRecord = {
        name,
        kind: entry.kind === 'upscaler' ? 'uint4' : entry.kind,
        source: { type: 'hub', repository: source.repository, revision: 'main', commit: null, files: [], license: entry.license },
        state: 'queued',
        error: null,
        identity: null,
      };
      await records.change(({ models }) => models.push(fresh));
      tell(name);
    }
    pump();
  }

  async function remove(entry: ModelEntry): Promise<void> {
    const { name } = entry;
    const record = recordOf(name);
    if (record === undefined)
      throw busy(entry, entry.source.type === 'bundled' ? 'it comes with the program and cannot be removed' : 'there is nothing of it to remove');
    await stop(name);
    if (record.source.type === 'hub') await cache.remove(record.source);
    await records.change((content) => {
      content.models = content.models.filter((other) => other.name !== name);
      if (content.chosen[record.kind] === name) delete content.chosen[record.kind];
    });
    for (const listener of listeners) listener({ ...entry, state: 'absent', active: false, identity: null, bytes_done: 0, error: null, compilation: null });
    pump();
  }

  function startVerifying(entry: ModelEntry): void {
    const record = recordOf(entry.name);
    if (record === undefined) throw busy(entry, 'only what was downloaded or added is verified');
    if (record.state !== 'installed' || work.has(entry.name)) throw busy(entry, 'only an installed model can be verified');
    void begin(entry.name, 'verifying', (doing) => verify(record, doing).catch(leftToEntries));
  }

  async function use(entry: ModelEntry): Promise<void> {
    const { name, kind } = entry;
    if (entry.state !== 'installed') throw busy(entry, 'only an installed model can run');
    const before = await activeNames();
    if (before.get(kind) === name) return;
    await records.change(({ chosen }) => {
      chosen[kind] = name;
    });
    if ((await activeNames()).get(kind) !== name) throw busy(entry, 'the server was started with --checkpoint, which goes before it');
    tell(before.get(kind) ?? name);
    tell(name);
  }

  async function add(model: NewModel): Promise<ModelEntry> {
    if (model.dir !== undefined) return entryOf(await addFolder(model.dir));
    const { repository = '', revision = 'main' } = model;
    if (recordOf(repository) !== undefined) return act(repository, 'install');
    const abort = new AbortController();
    const source = await pinSource(hub, repository, revision, abort.signal);
    const kind = await fetchConfigs(source, {
      hub,
      cache,
      hashes,
      throttle,
      signal: abort.signal,
      onBytes: () => {},
      counts,
      ...(pause === undefined ? {} : { pause }),
    });
    await records.change(({ models }) => models.push({ name: repository, kind, source, state: 'queued', error: null, identity: null }));
    pump();
    return entryOf(repository);
  }

  /** Resolves with the name that it has here. */
  async function addFolder(given: string): Promise<string> {
    const dir = resolve(given);
    const facts = await describeCheckpoint(dir, hashes);
    await assertWeights(dir);
    await hashes.save();
    const real = await realpath(dir);
    for (const { name, source } of records.current().models) {
      if (source.type === 'folder' && (await realpath(source.dir).catch(() => source.dir)) === real) return name;
    }
    const taken = new Set((await entries()).filter(({ state }) => state !== 'absent').map(({ name }) => name));
    const name = freeName(nameOf(dir), taken);
    await records.change(({ models }) => {
      models.push({ name, kind: facts.modelType, source: { type: 'folder', dir }, state: 'installed', error: null, identity: facts.fingerprint });
    });
    tell(name);
    return name;
  }

  function tell(name: string): void {
    const doing = work.get(name);
    if (doing !== undefined) doing.toldAt = performance.now();
    if (listeners.size === 0) return;
    entryOf(name).then(
      (entry) => {
        for (const listener of listeners) listener(entry);
      },
      () => {}, // it is gone meanwhile, which `remove` has told
    );
  }

  return {
    checkpointFor: registry.checkpointFor,
    upscaler: registry.upscaler,
    list: registry.list,
    entries,
    act,
    add,
    cacheDir,
    counts,
    limits: () => records.current().limits,
    async setLimits(limits) {
      throttle.set(limits.bytes_per_second);
      await records.change((content) => {
        content.limits = limits;
      });
      return limits;
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start() {
      isStarted = true;
      pump();
    },
    async close() {
      isStarted = false;
      listeners.clear();
      await Promise.all([...work.keys()].map(stop));
    },
  };
}

type Work = Transfer<'downloading' | 'verifying'>;

function blank(name: string, kind: ModelKind, active: ReadonlyMap<ModelKind, string>): ModelEntry {
  return {
    name,
    kind,
    state: 'absent',
    active: active.get(kind) === name,
    license: 'unknown',
    source: { type: 'hub', repository: null, revision: null, path: null },
    identity: null,
    bytes_done: 0,
    bytes_total: 0,
    bytes_per_second: null,
    seconds_left: null,
    error: null,
    compilation: null,
  };
}

function upscalerEntry({ name, path, fingerprint, license, sizeBytes }: Upscaler, active: ReadonlyMap<ModelKind, string>): ModelEntry {
  return {
    ...blank(name, 'upscaler', active),
    state: 'installed',
    license,
    source: { type: 'bundled', repository: null, revision: null, path },
    identity: fingerprint,
    bytes_done: sizeBytes,
    bytes_total: sizeBytes,
  };
}

/** Until the list of files has told the exact figure. */
function publishedBytes(name: string): number {
  return catalog.find(({ repository }) => repository === name)?.sizeBytes ?? 0;
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}-${count}`;
  return name;
}

function unknownModel(name: string): AppError<'unknown_model'> {
  return new AppError('unknown_model', `There is no model ${JSON.stringify(name)}; GET /api/models lists them all.`, {});
}

function busy({ name, state }: ModelEntry, why: string): AppError<'model_busy'> {
  return new AppError('model_busy', `${name} is ${state}: ${why}.`, { state });
}

function ours(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  throw thrown;
}

/** A broken model shows in its entry each time that it is looked at. */
function leftToEntries(thrown: unknown): void {
  ours(thrown);
}

function unlessOurs(thrown: unknown): null {
  ours(thrown);
  return null;
}
