import { realpathSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { Engine } from '#main/engine/engine.ts';
import { type Clock, systemClock } from '#main/lib/clock.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import type { MadeImage, RepeatedImage } from '#main/provenance/verify-image.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { takesEffect } from '#main/settings/takes-effect.ts';
import type { JobPage, JobQuery, JobRecord, Label, QueueAction, QueueSummary } from '#shared/domain/job-record.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { Clients, Labels, Sizes } from '#shared/protocol/http.ts';
import type { ServerMessage } from '#shared/protocol/messages.ts';
import { type SettingName, type Settings, type SettingsAnswer, type SettingsChange, settingNameSchema } from '#shared/protocol/settings.ts';
import { ClientConnection } from './client-connection.ts';
import { ClientsSeen } from './events/clients-seen.ts';
import { wireResult } from './events/status-message.ts';
import { Subscriptions } from './events/subscriptions.ts';
import { AgeClock } from './images/age-clock.ts';
import { Bin } from './images/bin.ts';
import { originalFileName } from './images/file-name.ts';
import { findMadeImage } from './images/find-made-image.ts';
import { ImageFolders } from './images/image-folders.ts';
import { indexImages, reconcileBin, recover } from './images/recovery.ts';
import { Retention } from './images/retention.ts';
import type { InputImages } from './input-images.ts';
import { createRecords } from './job-records.ts';
import type { Caller, Jobs, JobsConnection, JobsLimits, JobsLog, JobsOptions } from './jobs.ts';
import { JobProcessor } from './processor/job-processor.ts';
import { Admission } from './queue/admission.ts';
import { repeatImage, repeatObstacles } from './repeat-image.ts';
import { openDatabase } from './store/database.ts';
import { networkFileSystemOf } from './store/network-file-system.ts';
import { openDataFolder } from './store/open-data-folder.ts';
import { closeFolder } from './store/private-folder.ts';
import { toDatabaseError } from './store/sqlite.ts';
import { createStore, type Store } from './store/store.ts';
import type { StoredJob } from './store/stored-job.ts';
import { UnitOfWork } from './store/unit-of-work.ts';

const MEASURED_KINDS_SHOWN = 50;
const SIZES_SHOWN = 100;
const CLIENTS_SHOWN = 1000;
const IDLE_CLIENTS_KEPT = 10_000;

const defaultLimits: JobsLimits = { running: 4, waiting: 1000, reserveBytes: 256 * 1024 * 1024, replayedStatuses: 1000 };

/**
 * Opens the data folder, repairs what an interrupted process left, and lets the queue run.
 * Throws `data_folder_in_use`, `folder_not_writable`, `disk_full`, `disk_failed`, `database_newer`, `database_busy`.
 */
export async function createJobs(options: JobsOptions): Promise<Jobs> {
  const { dataDir, log } = options;
  const { isOurs, unlock } = options.lockedFolder ?? (await openDataFolder(dataDir, log));
  try {
    const networkFileSystem = await networkFileSystemOf(dataDir);
    if (networkFileSystem !== null) {
      const advice = 'The database needs file locks and shared memory, which such file systems often lack: choose a local folder with --data-dir.';
      log.warn({ folder: dataDir }, `The data folder is on a network file system (${networkFileSystem}). ${advice}`);
    }
    return await openJobs(options, isOurs, unlock);
  } catch (thrown) {
    unlock();
    throw toDatabaseError(thrown);
  }
}

async function openJobs(options: JobsOptions, isOurs: boolean, unlock: () => void): Promise<Jobs> {
  const { dataDir, engine, registry, log } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const clock = options.clock ?? systemClock;
  const settingsFile = new SettingsFile(options);
  const settings = () => settingsFile.settings;
  const { database, movedAside } = await openDatabase(join(dataDir, 'jobs.db'), clock.now());
  if (movedAside !== null) log.warn({ moved_to: movedAside }, 'the database was damaged and was moved aside; the images are indexed again');
  const store = createStore(database);
  try {
    if (isOurs) store.state.set('own_folder', 'true');
    if (store.state.get('own_folder') === 'true') closeFolder(dataDir, log);
    const folders = await openImageFolders(options, settingsFile, store);
    const isClean = store.state.get('clean_end') === 'true';
    if (isClean) store.state.set('clean_end', 'false');
    else await folders.removeTemporary();
    await reconcileBin(store, folders, log);
    if (store.state.get('indexed') !== 'true') await indexImages(store, folders, log);
    const subscriptions = new Subscriptions(store, limits.replayedStatuses);
    const unitOfWork = new UnitOfWork(store, subscriptions, clock, log);
    const ageClock = new AgeClock(store.state, clock);
    const bin = new Bin({ store, unitOfWork, folders, ageClock, clock, log });
    const retention = new Retention({ store, folders, bin, inputs: options.inputs, ageClock, settings, clock, log });
    const processor = new JobProcessor({
      ...{ ...options, store, subscriptions, unitOfWork, folders, clock },
      runningLimit: limits.running,
      isOwnWindow: (requester) => requester.startsWith('client:') && options.isOwnWindow?.(requester.slice('client:'.length)) === true,
      windowsFirst: () => settings().window_jobs_first,
      marksImages: () => settings().mark_images,
      onEnded: () => retention.look(),
    });
    await recover({ store, unitOfWork, folders, processor, log });
    unitOfWork.notify(processor);
    const imageFile = (filename: string) => servedImage({ store, folders }, filename, false);
    const admission = new Admission({ ...options, store, unitOfWork, folders, imageFile, bin, retention, processor, clock, limits });
    const clientsSeen = new ClientsSeen(store.clients, clock, log);
    store.clients.forgetIdle(IDLE_CLIENTS_KEPT);
    engine.unloadAfter(minutesInMs(settings().unload_model_after_minutes));
    processor.startWaiting();
    retention.start();
    const { fixedSettings = [], fixedDevice } = options;
    return new DurableJobs({
      ...{ store, subscriptions, clientsSeen, unitOfWork, folders, bin, retention, ageClock, processor, admission, settingsFile, fixedSettings, fixedDevice },
      ...{ clock, limits, engine, registry, inputs: options.inputs, log, unlock },
    });
  } catch (thrown) {
    store.close();
    throw thrown;
  }
}

interface Parts {
  store: Store;
  subscriptions: Subscriptions;
  clientsSeen: ClientsSeen;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  bin: Bin;
  retention: Retention;
  ageClock: AgeClock;
  processor: JobProcessor;
  admission: Admission;
  settingsFile: SettingsFile;
  fixedSettings: readonly SettingName[];
  fixedDevice: Settings['device'] | undefined;
  clock: Clock;
  limits: JobsLimits;
  engine: Engine;
  registry: ModelRegistry;
  inputs: InputImages;
  log: JobsLog;
  unlock: () => void;
}

class DurableJobs implements Jobs {
  readonly #parts: Parts;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  connect(caller: Caller, send: (message: ServerMessage) => void): JobsConnection {
    const { clientId, from = 'this_machine' } = caller;
    const { clientsSeen } = this.#parts;
    const note = () => {
      if (clientId !== null && !this.#closed) clientsSeen.note(clientId, from);
    };
    note();
    return new ClientConnection({ ...this.#parts, onClose: note }, caller, send);
  }

  list(query: JobQuery): JobPage {
    const found = this.#parts.store.jobs.list(query, query.limit + 1);
    const shown = found.slice(0, query.limit);
    return { jobs: createRecords(shown, this.#parts), next: found.length > shown.length ? (shown.at(-1)?.number ?? null) : null };
  }

  get(jobId: string): JobRecord | null {
    const job = this.#parts.store.jobs.byId(jobId);
    return job === null ? null : this.#record(job);
  }

  async patch(jobId: string, { starred }: { starred: boolean }): Promise<JobRecord> {
    const { store, subscriptions, unitOfWork } = this.#parts;
    const job = await unitOfWork.commitSoon(() => {
      if (store.jobs.byId(jobId) === null) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
      return store.jobs.setStarred(jobId, starred);
    });
    subscriptions.sendToWatchers({ type: 'job_starred', job_id: jobId, starred });
    return this.#record(job);
  }

  async setLabel(jobId: string, label: Label, isSet: boolean): Promise<void> {
    const { store, unitOfWork } = this.#parts;
    await unitOfWork.commitSoon(() => {
      if (store.jobs.byId(jobId) === null) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
      if (isSet) store.labels.add(jobId, label);
      else store.labels.remove(jobId, label);
    });
  }

  labels(): Labels {
    return { labels: this.#parts.store.labels.list() };
  }

  async remove(jobId: string): Promise<JobRecord> {
    return this.#record(await this.#parts.bin.put(jobId));
  }

  async restore(jobId: string): Promise<JobRecord> {
    return this.#record(await this.#parts.bin.restore(jobId));
  }

  async removePermanently(jobId: string): Promise<void> {
    const { bin, store } = this.#parts;
    const job = store.jobs.byId(jobId);
    if (job === null) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
    if (job.deletedAtMs === null) throw new AppError('unknown_job', `Job ${jobId} is not in the bin; DELETE /api/jobs/${jobId} moves it there.`, {});
    const { failed } = await bin.deleteForGood((except) => (except.length === 0 && store.jobs.byId(jobId) !== null ? [job] : []));
    for (const { reason } of failed) throw reason;
  }

  async emptyBin(): ReturnType<Jobs['emptyBin']> {
    const { bin, store } = this.#parts;
    const { deleted, failed } = await bin.deleteForGood((except, limit) => store.jobs.binned({ except, limit }));
    return { removed: deleted, failed };
  }

  async queue(action: QueueAction): Promise<QueueSummary> {
    const { processor } = this.#parts;
    switch (action.action) {
      case 'pause':
      case 'resume':
        await processor.setPaused(action.action === 'pause');
        break;
      case 'clear':
        await this.#cancelWaiting();
        break;
      case 'move':
        if (!(await processor.move(action.job_id, action.before))) {
          const target = action.before === null ? '' : ` before ${action.before}`;
          throw new AppError('unknown_job', `Job ${action.job_id} cannot be moved${target}: both must be pending and different.`, {});
        }
    }
    return this.summary();
  }

  summary(): QueueSummary {
    const { processor, store, limits } = this.#parts;
    return {
      paused: processor.paused,
      waiting: processor.waitingCount,
      running: processor.runningCount,
      order: processor.waitingIds(),
      limit: limits.waiting,
      measured: store.timings.list(MEASURED_KINDS_SHOWN),
    };
  }

  onImagesDeleted(listener: (filenames: string[]) => void): void {
    this.#parts.bin.onDeleted(listener);
  }

  clients(): Clients {
    const { store, subscriptions, clientsSeen, clock } = this.#parts;
    clientsSeen.write();
    const clients = store.clients.seen(CLIENTS_SHOWN).map(({ clientId, firstMs, lastMs, from, jobs }) => {
      const connections = subscriptions.connections.ofClient(clientId).size;
      const lastSeenMs = connections > 0 ? clock.now() : lastMs;
      return { client_id: clientId, first_seen: inSeconds(firstMs), last_seen: inSeconds(lastSeenMs), jobs, connections, from };
    });
    return {
      clients: clients.toSorted((a, b) => (b.last_seen ?? 0) - (a.last_seen ?? 0)),
      anonymous_connections: subscriptions.connections.withoutClientId().length,
    };
  }

  sizes(): Sizes {
    return { sizes: this.#parts.store.jobs.sizes(SIZES_SHOWN) };
  }

  settings(): SettingsAnswer {
    const { settingsFile, fixedSettings, fixedDevice: device, folders } = this.#parts;
    return {
      ...settingsFile.settings,
      ...(device === undefined ? {} : { device }),
      outputs_folder: folders.dir,
      fixed: [...fixedSettings],
      takes_effect: takesEffect,
    };
  }

  async changeSettings(change: SettingsChange): Promise<SettingsAnswer> {
    const { settingsFile, fixedSettings, folders, subscriptions, retention, engine } = this.#parts;
    const fixed = fixedSettings.find((name) => change[name] !== undefined);
    if (fixed !== undefined) {
      const message = `${fixed} is fixed by the command line and cannot be changed here; it may be left out. Start the server without that option to change it.`;
      throw new AppError('bad_param', message, { field: fixed });
    }
    const wanted = { ...change };
    if (wanted.outputs_folder !== undefined) wanted.outputs_folder = await usableFolder(wanted.outputs_folder, folders);
    const before = settingsFile.settings;
    await settingsFile.change(wanted);
    const { outputs_folder, unload_model_after_minutes } = settingsFile.settings;
    if (wanted.outputs_folder !== undefined) folders.use(outputs_folder);
    engine.unloadAfter(minutesInMs(unload_model_after_minutes));
    const names = settingNameSchema.options.filter((name) => wanted[name] !== undefined && wanted[name] !== before[name]);
    retention.look();
    if (names.length > 0) subscriptions.sendToWatchers({ type: 'settings_changed', names });
    return this.settings();
  }

  imageFile(filename: string): Promise<string | null> {
    return servedImage(this.#parts, filename, false);
  }

  binnedImageFile(filename: string): Promise<string | null> {
    return servedImage(this.#parts, filename, true);
  }

  findMadeImage(pixelsSha256: string, jobId: string | null, hashOf: (path: string) => Promise<string>): Promise<MadeImage | null> {
    return findMadeImage({ ...this.#parts, hashOf }, pixelsSha256, jobId);
  }

  repeatObstacles(recipe: Recipe): Promise<string[]> {
    return repeatObstacles(recipe, this.#parts);
  }

  repeat(recipe: Recipe, signal: AbortSignal): Promise<RepeatedImage> {
    return repeatImage(recipe, { ...this.#parts, signal });
  }

  async close(how: 'park' | 'now'): Promise<void> {
    const { processor, store, admission, clientsSeen, retention, bin, unlock } = this.#parts;
    admission.close();
    await retention.close();
    await bin.close();
    await processor.close(how);
    // a park that waits may be overtaken by a `now`
    if (this.#closed) return;
    this.#closed = true;
    clientsSeen.write();
    this.#saveState(how);
    store.close();
    unlock();
  }

  #saveState(how: 'park' | 'now'): void {
    const { store, ageClock, log } = this.#parts;
    try {
      ageClock.save();
      if (how === 'park') store.state.set('clean_end', 'true');
    } catch (thrown) {
      log.warn({ err: thrown }, 'the clean end could not be saved; the next start looks through the folders of images');
    }
  }

  async #cancelWaiting(): Promise<void> {
    const { unitOfWork, processor, store } = this.#parts;
    await unitOfWork.commitSoon((events) => {
      for (const jobId of processor.waitingIds()) {
        const job = store.jobs.byId(jobId);
        if (job !== null) unitOfWork.apply(job, { type: 'cancelled' }, events);
      }
    });
  }

  #record(job: StoredJob): JobRecord {
    const [record] = createRecords([job], this.#parts);
    if (record === undefined) throw new Error('a job has one record');
    return record;
  }
}

/** The real path of an image of a job that is or is not in the bin, or null. */
async function servedImage({ store, folders }: Pick<Parts, 'store' | 'folders'>, filename: string, isBinned: boolean): Promise<string | null> {
  const original = originalFileName(filename);
  const job = original === null ? null : store.jobs.byFilename(original);
  if (job === null || (job.deletedAtMs !== null) !== isBinned) return null;
  const result = wireResult(job.state);
  return filename === result?.filename || filename === result?.upscaled_filename ? folders.servedPath(filename, isBinned) : null;
}

/**
 * A folder that cannot be used must not keep the program from starting when the settings name it (an unplugged disk), or when it held images before: jobs are
 * refused until it is back.
 */
async function openImageFolders({ dataDir, outputsDir, fixedSettings, log }: JobsOptions, settingsFile: SettingsFile, store: Store): Promise<ImageFolders> {
  const dir = fixedSettings?.includes('outputs_folder') === true ? outputsDir : settingsFile.settings.outputs_folder;
  const usedDirs = new Set(usedFolders(store));
  const folders = new ImageFolders({
    ...{ dir, earlierDirs: [...settingsFile.earlierFolders, outputsDir], usedDirs: [...usedDirs], dataDir: realpathSync(dataDir), log },
    onUsed(folder) {
      usedDirs.add(folder);
      store.state.set('image_folders', JSON.stringify([...usedDirs]));
    },
  });
  try {
    await folders.prepare();
  } catch (thrown) {
    if (dir === outputsDir && !usedDirs.has(dir)) throw thrown;
    log.error({ err: thrown, folder: dir }, 'the folder for images cannot be used; jobs are refused until it can, or the settings name another one');
  }
  return folders;
}

function usedFolders(store: Store): string[] {
  try {
    const stored: unknown = JSON.parse(store.state.get('image_folders') ?? '[]');
    return Array.isArray(stored) ? stored.filter((folder) => typeof folder === 'string') : [];
  } catch {
    return []; // damaged: the folders count as new ones
  }
}

/** The full path of the folder, which is created where it is missing. Throws `bad_param`. */
async function usableFolder(path: string, folders: ImageFolders): Promise<string> {
  try {
    if (!isAbsolute(path) || path.includes('\0')) throw new Error('It is not an absolute path.');
    await folders.create(path);
    return resolve(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `outputs_folder is ${quoteValue(path)}; it must be the absolute path of a folder that can be written to, such as ${resolve('/pictures')}. ${reason}`;
    throw new AppError('bad_param', message, { field: 'outputs_folder' }, { cause });
  }
}

function minutesInMs(minutes: number | null): number | null {
  return minutes === null ? null : minutes * 60_000;
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
