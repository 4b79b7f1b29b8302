import { realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type InstallEvent, type InstallState, next } from '#main/downloads/install-state.ts';
import { createKeyedMutex } from '#main/downloads/keyed-mutex.ts';
import { type Outcome, Transfer } from '#main/downloads/transfer.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import type { JsonFileLog } from '#main/lib/json-file.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import { assertWeights, relevantPaths } from './checkpoint-files.ts';
import { describeCheckpoint, nameOf } from './describe-checkpoint.ts';
import { extraPath, isExtraKind } from './extra-files.ts';
import { fetchConfigs, hasContent, type InstallModelOptions, installModel, isExtraSource, pinSource, sizeOf } from './install-model.ts';
import type { HubSource, ModelRecord, ModelRecords, PinnedSource, RecordKind } from './records.ts';
import { recordDir } from './registry.ts';

export interface ModelInstallerOptions extends Omit<InstallModelOptions, 'signal' | 'onBytes'> {
  records: ModelRecords;
  log: JsonFileLog;
  /** Called when the state or the progress of a model has changed. */
  onChange(name: string): void;
}

/** Fields of a model that can be downloaded. */
export interface Installable {
  name: string;
  kind: RecordKind;
  repository: string;
  license: string;
}

/** Installs, verifies and removes models. Commands of one model run one after the other; downloads too. */
export class ModelInstaller {
  /** Serialises all commands of one model. */
  readonly exclusively = createKeyedMutex();
  readonly #options: ModelInstallerOptions;
  /** States that differ from the records: what runs now, and failures that could not be written. */
  readonly #states = new Map<string, InstallState>();
  readonly #closing = new AbortController();
  #isStarted = false;

  constructor(options: ModelInstallerOptions) {
    this.#options = options;
  }

  stateOf(name: string): InstallState {
    const state = this.#states.get(name);
    if (state !== undefined) return state;
    const record = this.#options.records.find(name);
    if (record === undefined) return { at: 'absent' };
    if (record.state !== 'failed') return { at: record.state };
    return { at: 'failed', error: record.error ?? { code: 'download_failed', message: 'The download failed.' } };
  }

  /** Starts the downloads that wait. */
  start(): void {
    this.#isStarted = true;
    this.#startNext();
  }

  async close(): Promise<void> {
    this.#isStarted = false;
    this.#closing.abort();
    await Promise.all([...this.#states.values()].map((state) => ('transfer' in state ? state.transfer.stop() : undefined)));
  }

  // The methods below are called within `exclusively(name)`.

  /** @param isDamaged Whether the installed files were found damaged. */
  async install(model: Installable, command: 'install' | 'resume', isDamaged: boolean): Promise<void> {
    const { name, kind, repository, license } = model;
    if (!this.#move(name, { type: command }, isDamaged)) return;
    await this.#keepingState(name, async () => {
      const { records } = this.#options;
      if (records.find(name) !== undefined) return records.changeRecord(name, { state: 'queued', error: null });
      const source: HubSource = { type: 'hub', repository, revision: 'main', commit: null, files: [], license };
      return records.change(({ models }) => void models.push({ name, kind, source, state: 'queued', error: null, identity: null }));
    });
    this.#startNext();
  }

  async pause(name: string): Promise<void> {
    const before = this.stateOf(name);
    this.#move(name, { type: 'pause' });
    if ('transfer' in before) await before.transfer.stop();
    await this.#keepingState(name, () => this.#options.records.changeRecord(name, { state: 'paused' }));
    this.#startNext();
  }

  async remove(record: ModelRecord): Promise<void> {
    const { name } = record;
    const { records, cache, log } = this.#options;
    const before = this.stateOf(name);
    this.#move(name, { type: 'remove' });
    if ('transfer' in before) await before.transfer.stop();
    // the download may have pinned its files meanwhile
    const { source, kind } = records.find(name) ?? record;
    await this.#keepingState(name, async () => {
      if (source.type === 'hub') {
        const others = records.current.models.filter((other) => other.name !== name && other.source.type === 'hub');
        const keepsOthers = others.some((other) => other.source.type === 'hub' && other.source.repository === source.repository);
        const { sharedBytes } = await cache.remove(source, { keepsOthers });
        const shared = `${(sharedBytes / 1e9).toFixed(2)} GB of ${name} stay in the store that Hugging Face's tools share between models. Run hf cache prune to free them.`;
        if (sharedBytes > 0) log.warn({ model: name, sharedBytes }, shared);
      }
      await records.change((content) => {
        content.models = content.models.filter((other) => other.name !== name);
        if (content.chosen[kind] === name) delete content.chosen[kind];
      });
    });
    this.#startNext();
  }

  verify(record: ModelRecord): void {
    const { name } = record;
    const transfer = new Transfer(
      (running) => this.#verify(record, running),
      () => this.#options.onChange(name),
    );
    this.#move(name, { type: 'verify', transfer });
    this.#run(name, transfer);
  }

  /** Fetches the file list and the configs of a repository, then queues its download. `file` names a LoRA or ControlNet where it has several. */
  async addRepository(name: string, repository: string, revision: string, file: string | undefined): Promise<void> {
    const { hub, records } = this.#options;
    const { signal } = this.#closing;
    const source = await pinSource(hub, repository, revision, signal, file);
    // the kind of a LoRA or ControlNet is known once its file is here
    const kind = isExtraSource(source) ? 'lora' : await fetchConfigs(source, { ...this.#options, signal, onBytes: () => {} });
    await records.change(({ models }) => void models.push({ name, kind, source, state: 'queued', error: null, identity: null }));
    this.#options.onChange(name);
    this.#startNext();
  }

  /** Adds a LoRA or ControlNet in place, or finds it among the added ones. Returns its name. @param takenNames Names of other models. */
  async addFile(given: string, takenNames: ReadonlySet<string>): Promise<string> {
    const { hashes, inspectExtra } = this.#options;
    const path = resolve(given);
    const kind = await inspectExtra(path);
    const { sha256 } = await hashes.hashOf(path);
    await hashes.save();
    return addInPlace(path, basename(path).replace(/\.safetensors$/, ''), { kind, identity: sha256 }, takenNames, this.#options);
  }

  /** Adds a folder in place, or finds it among the added ones. Returns its name. @param takenNames Names of other models. */
  async addFolder(given: string, takenNames: ReadonlySet<string>): Promise<string> {
    const { hashes, assertCanRun } = this.#options;
    const dir = resolve(given);
    const facts = await describeCheckpoint(dir, hashes);
    await assertWeights(dir);
    await assertCanRun(dir, 'all');
    await hashes.save();
    return addInPlace(dir, nameOf(dir), { kind: facts.modelType, identity: facts.fingerprint }, takenNames, this.#options);
  }

  /** One download at a time; verifications may run beside it. */
  #startNext(): void {
    if (!this.#isStarted || this.#isDownloading()) return;
    const waiting = this.#options.records.current.models.find(({ name }) => this.stateOf(name).at === 'queued');
    if (waiting === undefined) return;
    const { name } = waiting;
    void this.exclusively(name, async () => {
      if (!this.#isStarted || this.#isDownloading() || this.stateOf(name).at !== 'queued') return;
      const transfer = new Transfer(
        (running) => this.#install(name, running),
        () => this.#options.onChange(name),
      );
      this.#move(name, { type: 'start', transfer });
      this.#run(name, transfer);
    }).catch((error: unknown) => this.#options.log.warn({ model: name, err: error }, 'a download could not be started'));
  }

  #isDownloading(): boolean {
    return [...this.#states.values()].some(({ at }) => at === 'downloading');
  }

  #run(name: string, transfer: Transfer): void {
    void transfer
      .run()
      .then((outcome) => this.exclusively(name, () => this.#settle(name, transfer, outcome)))
      .catch((error: unknown) => this.#options.log.warn({ model: name, err: error }, 'the end of a task could not be recorded'))
      .finally(() => this.#startNext());
  }

  /** Records how `transfer` ended, unless a command has taken over meanwhile. */
  async #settle(name: string, transfer: Transfer, outcome: Outcome): Promise<void> {
    const { records, log } = this.#options;
    const state = this.stateOf(name);
    if (!('transfer' in state) || state.transfer !== transfer) return;
    if (outcome.type === 'failed') {
      log.warn({ model: name, cause: errnoCode(outcome.error) }, 'a model could not be installed');
      const error = toWireError(outcome.error);
      this.#move(name, { type: 'fail', error });
      // a full disk may be why it failed: the state is kept in memory then
      await this.#keepingState(name, () => records.changeRecord(name, { state: 'failed', error })).catch((thrown: unknown) =>
        log.warn({ model: name, cause: errnoCode(thrown) }, 'the failure of a download could not be written'),
      );
      return;
    }
    if (outcome.type === 'finished') this.#move(name, { type: 'finish' });
    // the record says it already; a stopped download stays queued there
    this.#states.delete(name);
    this.#options.onChange(name);
  }

  async #install(name: string, transfer: Transfer): Promise<void> {
    const { records } = this.#options;
    const options = { ...this.#options, signal: transfer.signal, onBytes: (done: number, total: number) => transfer.progress(done, total) };
    const source = await this.#pinned(name, transfer.signal);
    transfer.progress(0, sizeOf(source));
    const { fingerprint, kind } = await installModel(source, options);
    await records.changeRecord(name, { kind, state: 'installed', error: null, identity: fingerprint });
  }

  /** A download keeps its commit and file list, even when the repository has changed since. */
  async #pinned(name: string, signal: AbortSignal): Promise<PinnedSource> {
    const { hub, records } = this.#options;
    const source = records.find(name)?.source;
    if (source?.type !== 'hub') throw new AppError('unknown_model', `There is no model ${JSON.stringify(name)}.`, {});
    if (source.commit !== null) return { ...source, commit: source.commit };
    const pinned = await pinSource(hub, source.repository, source.revision, signal);
    await records.changeRecord(name, { source: pinned });
    return pinned;
  }

  /** Hashes all files again. Damage shows in the list of models, which compares fingerprints. */
  async #verify(record: ModelRecord, transfer: Transfer): Promise<void> {
    const { name, source } = record;
    const { hashes, records, cache, log } = this.#options;
    const dir = recordDir(record, cache);
    try {
      if (source.type === 'hub') await verifyBlobs(source, transfer, this.#options);
      else if (isExtraKind(record.kind)) await hashes.forget(dir);
      else for (const path of await relevantPaths(dir)) await hashes.forget(join(dir, path));
      if (isExtraKind(record.kind)) {
        const { sha256 } = await hashes.hashOf(extraPath(record, cache));
        if (source.type === 'folder') await records.changeRecord(name, { identity: sha256, kind: await this.#options.inspectExtra(dir) });
        return;
      }
      await assertWeights(dir);
      const { fingerprint, modelType } = await describeCheckpoint(dir, hashes);
      // a download keeps the fingerprint of its repository
      if (source.type === 'folder') await records.changeRecord(name, { identity: fingerprint, kind: modelType });
    } catch (thrown) {
      if (!transfer.signal.aborted) log.warn({ model: name, cause: errnoCode(thrown) }, 'a model failed verification');
    } finally {
      await hashes.save();
    }
  }

  /** Applies `event`; false if it changes nothing. Throws `model_busy` if it is not possible. */
  #move(name: string, event: InstallEvent, isDamaged = false): boolean {
    const state: InstallState = isDamaged ? { at: 'damaged' } : this.stateOf(name);
    const after = next(state, event);
    if (after === null) throw modelBusy(name, state.at, refusals[event.type] ?? 'this is not possible now');
    if (after === state) return false;
    this.#states.set(name, after);
    this.#options.onChange(name);
    return true;
  }

  /** Writes what `#move` has decided. If that fails, the earlier record counts again. */
  async #keepingState(name: string, write: () => Promise<void>): Promise<void> {
    const state = this.#states.get(name);
    try {
      await write();
      this.#states.delete(name);
    } catch (thrown) {
      if (state?.at !== 'failed') this.#states.delete(name);
      throw thrown;
    } finally {
      this.#options.onChange(name);
    }
  }
}

async function verifyBlobs(source: HubSource, transfer: Transfer, options: ModelInstallerOptions): Promise<void> {
  const { hashes, cache } = options;
  let doneBytes = 0;
  for (const file of source.files) {
    transfer.signal.throwIfAborted();
    const blob = cache.blobPath(source.repository, file.hash);
    await hashes.forget(blob);
    await hasContent(blob, file, hashes);
    doneBytes += file.sizeBytes;
    transfer.progress(doneBytes, sizeOf(source));
  }
}

async function addInPlace(
  dir: string,
  wantedName: string,
  facts: Pick<ModelRecord, 'kind' | 'identity'>,
  takenNames: ReadonlySet<string>,
  options: ModelInstallerOptions,
): Promise<string> {
  const { records, onChange } = options;
  const real = await realpath(dir);
  for (const { name, source } of records.current.models) {
    if (source.type === 'folder' && (await realpath(source.dir).catch(() => source.dir)) === real) return name;
  }
  let name = '';
  await records.change(({ models }) => {
    name = freeName(wantedName, new Set([...takenNames, ...models.map((other) => other.name)]));
    models.push({ name, ...facts, source: { type: 'folder', dir }, state: 'installed', error: null });
  });
  onChange(name);
  return name;
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}-${count}`;
  return name;
}

const refusals: Partial<Record<InstallEvent['type'], string>> = {
  install: 'wait until the verification has ended',
  resume: 'only a paused or failed download can be resumed',
  pause: 'only a waiting or running download can be paused',
  verify: 'only an installed model can be verified',
  remove: 'there is nothing to remove',
};

export function modelBusy(name: string, state: string, why: string): AppError<'model_busy'> {
  return new AppError('model_busy', `${name} is ${state}: ${why}.`, { state });
}
