import { isAbsolute, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Engine } from '#main/engine/engine.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { isEnd } from '#shared/domain/job.ts';
import type { JobPage, JobQuery, JobRecord, QueueAction, QueueSummary } from '#shared/domain/job-record.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { Clients, Sizes } from '#shared/protocol/http.ts';
import type { RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import { type SettingName, type Settings, type SettingsAnswer, type SettingsChange, settingNameSchema } from '#shared/protocol/settings.ts';
import { ClientsSeen } from './events/clients-seen.ts';
import { statusDraft, wireResult } from './events/status-message.ts';
import { type Listener, type StatusDraft, Subscriptions } from './events/subscriptions.ts';
import { Bin } from './images/bin.ts';
import { originalFileName } from './images/file-name.ts';
import { ImageFolders, prepareOutputsFolder } from './images/image-folders.ts';
import { indexOutputs, recover } from './images/recovery.ts';
import { Retention } from './images/retention.ts';
import type { Caller, Clock, Jobs, JobsConnection, JobsLimits, JobsLog, JobsOptions } from './jobs.ts';
import { JobProcessor } from './processor/job-processor.ts';
import { Admission } from './queue/admission.ts';
import { openDatabase } from './store/database.ts';
import { lockDataFolder } from './store/instance-lock.ts';
import { closeFolder, makeDataFolder } from './store/private-folder.ts';
import { toDatabaseError } from './store/sqlite.ts';
import { Store, type StoredJob } from './store/store.ts';
import { UnitOfWork } from './store/unit-of-work.ts';

/** Kept where the data folder was empty before, so that it is ours to close to others. */
const OWN_FOLDER = 'own_folder';
/** `true` from an end at which nothing was left half written to the next start. */
const CLEAN_END = 'clean_end';
const MEASURED_KINDS_SHOWN = 50;
const SIZES_SHOWN = 100;
const CLIENTS_SHOWN = 1000;
/** A client that never asked for a job is remembered for so long. */
const IDLE_CLIENT_MS = 90 * 24 * 3600 * 1000;

const defaultLimits: JobsLimits = { running: 4, waiting: 1000, reserveBytes: 256 * 1024 * 1024, replayedStatuses: 1000 };

const defaultSettings: Omit<Settings, 'outputs_folder'> = {
  disk_limit_gb: null,
  empty_bin_after_days: null,
  window_jobs_first: true,
  unload_model_after_minutes: 30,
  device: 'auto',
};

const takesEffect: SettingsAnswer['takes_effect'] = {
  outputs_folder: 'next_picture',
  disk_limit_gb: 'now',
  empty_bin_after_days: 'now',
  window_jobs_first: 'now',
  unload_model_after_minutes: 'now',
  device: 'next_start',
};

const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(task, delayMs) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

/** The settings of a data folder; `createJobs` is the only one to change them. */
export function openSettings({ dataDir, outputsDir, log }: Pick<JobsOptions, 'dataDir' | 'outputsDir' | 'log'>): SettingsFile {
  return new SettingsFile(join(dataDir, 'settings.json'), { ...defaultSettings, outputs_folder: outputsDir }, log);
}

/**
 * Opens the data folder, mends what an earlier end has left half done, and lets the queue run.
 * Throws `data_folder_in_use`, `folder_not_writable`, `disk_full`, `disk_failed`, `database_newer`.
 */
export async function createJobs(options: JobsOptions): Promise<Jobs> {
  const { dataDir, engine, registry, log, programVersion } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const clock = options.clock ?? systemClock;
  const { isOurs } = makeDataFolder(dataDir);
  const unlock = await lockDataFolder(dataDir);
  try {
    const fixedSettings = options.fixedSettings ?? [];
    const settings = openSettings(options);
    const folders = openOutputs(fixedSettings.includes('outputs_folder') ? options.outputsDir : settings.settings.outputs_folder, settings, options);
    const { database, movedAside } = await openDatabase(join(dataDir, 'jobs.db'), clock.now());
    const store = new Store(database);
    if (isOurs) store.setSetting(OWN_FOLDER, 'true');
    if (store.setting(OWN_FOLDER) === 'true') closeFolder(dataDir);
    if (store.setting(CLEAN_END) === 'true') store.setSetting(CLEAN_END, 'false');
    else folders.removeTemporary();
    if (movedAside !== null) await indexAgain(store, folders, movedAside, log);
    const subscriptions = new Subscriptions(store, limits.replayedStatuses);
    const unitOfWork = new UnitOfWork(store, subscriptions, clock.now, log);
    const isOwnWindow = (owner: string) => owner.startsWith('client:') && options.isOwnWindow?.(owner.slice('client:'.length)) === true;
    const bin = new Bin({ store, subscriptions, unitOfWork, folders });
    engine.unloadAfter(minutesInMs(settings.settings.unload_model_after_minutes));
    const retention = new Retention({ store, folders, bin, settings, clock, log });
    const processor = new JobProcessor({
      ...{ store, subscriptions, unitOfWork, folders, engine, registry, clock, log, programVersion, settings, isOwnWindow },
      runningLimit: limits.running,
      onEnded: () => retention.look(),
    });
    const admission = new Admission({ store, subscriptions, unitOfWork, folders, retention, registry, processor, clock, limits });
    await recover({ store, unitOfWork, folders, processor, log });
    processor.startWaiting();
    const clientsSeen = new ClientsSeen(store, clock, log);
    store.forgetIdleClients(clock.now() - IDLE_CLIENT_MS);
    retention.start();
    return new DurableJobs({
      ...{
        store,
        subscriptions,
        clientsSeen,
        unitOfWork,
        folders,
        bin,
        retention,
        processor,
        admission,
        settings,
        fixedSettings,
        fixedDevice: options.fixedDevice,
        clock,
        limits,
        engine,
        log,
        unlock,
      },
    });
  } catch (thrown) {
    unlock();
    throw toDatabaseError(thrown);
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
  processor: JobProcessor;
  admission: Admission;
  settings: SettingsFile;
  fixedSettings: readonly SettingName[];
  fixedDevice: Settings['device'] | undefined;
  clock: Clock;
  limits: JobsLimits;
  engine: Engine;
  log: JobsLog;
  unlock: () => void;
}

class DurableJobs implements Jobs {
  readonly #parts: Parts;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  connect({ clientId, from = 'this_machine' }: Caller, send: (message: ServerMessage) => void): JobsConnection {
    const { subscriptions, admission, clientsSeen } = this.#parts;
    if (clientId !== null) clientsSeen.note(clientId, from);
    const listener = subscriptions.open(clientId, send);
    return {
      create: (message, refuse) => admission.create(listener, message, refuse),
      getStatus: (jobId, requestId) =>
        subscriptions.answer(listener, this.#statusFor(listener, jobId), requestId ?? subscriptions.interestOf(listener, jobId)?.requestId),
      cancel: (jobId, requestId) => this.#cancel(listener, jobId, requestId),
      clientJobs: (requestId) => this.#clientJobs(listener, requestId),
      watch: ({ since, all, previews, requestId }) => {
        if (since !== undefined) subscriptions.replay(listener, since);
        listener.all = all ?? listener.all;
        listener.previews = previews ?? listener.previews;
        listener.send({ type: 'watching', seq: subscriptions.newestSeq(listener), request_id: requestId });
      },
      close: () => {
        subscriptions.close(listener);
        if (clientId !== null && !this.#closed) clientsSeen.note(clientId, from);
      },
    };
  }

  list(query: JobQuery): JobPage {
    const found = this.#parts.store.listJobs(query, query.limit + 1);
    const shown = found.slice(0, query.limit);
    return { jobs: shown.map((job) => this.#record(job)), next: found.length > shown.length ? (shown.at(-1)?.number ?? null) : null };
  }

  get(jobId: string): JobRecord | null {
    const job = this.#parts.store.job(jobId);
    return job === null ? null : this.#record(job);
  }

  patch(jobId: string, { starred }: { starred: boolean }): JobRecord {
    const job = this.#known(jobId);
    const { store, subscriptions } = this.#parts;
    store.setStarred(jobId, starred);
    subscriptions.tellWatchers({ type: 'job_starred', job_id: jobId, starred });
    return this.#record({ ...job, starred });
  }

  remove(jobId: string): JobRecord {
    const { clock, bin } = this.#parts;
    const job = this.#known(jobId);
    if (job.deletedAtMs !== null) return this.#record(job);
    if (!isEnd(job.state)) {
      const message = `Job ${jobId} is ${job.state.status} and cannot be deleted: completed, failed and cancelled ones can. Cancel it first.`;
      throw new AppError('job_not_ended', message, { status: job.state.status });
    }
    return this.#record(bin.put(job, clock.now()));
  }

  restore(jobId: string): JobRecord {
    const job = this.#known(jobId);
    return this.#record(job.deletedAtMs === null ? job : this.#parts.bin.restore(job));
  }

  removePermanently(jobId: string): void {
    const job = this.#known(jobId);
    if (job.deletedAtMs === null) throw new AppError('unknown_job', `Job ${jobId} is not in the bin; DELETE /api/jobs/${jobId} moves it there.`, {});
    this.#parts.bin.deleteForGood([job]);
  }

  emptyBin(): number {
    const { store, bin } = this.#parts;
    const binned = store.binnedJobs();
    bin.deleteForGood(binned);
    return binned.length;
  }

  queue(action: QueueAction): QueueSummary {
    const { processor } = this.#parts;
    switch (action.action) {
      case 'pause':
      case 'resume':
        processor.setPaused(action.action === 'pause');
        break;
      case 'clear':
        this.#cancelWaiting();
        break;
      case 'move':
        if (!processor.move(action.job_id, action.before)) {
          const message = `Job ${action.job_id} cannot be moved${action.before === null ? '' : ` before ${action.before}`}: both must be waiting and not the same.`;
          throw new AppError('unknown_job', message, {});
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
      measured: store
        .measuredKinds(MEASURED_KINDS_SHOWN)
        .map(({ generateMs, upscaleMs, ...kind }) => ({ ...kind, generate_ms: generateMs, upscale_ms: upscaleMs })),
    };
  }

  onPicturesDeleted(listener: (filenames: string[]) => void): void {
    this.#parts.bin.onDeleted(listener);
  }

  clients(): Clients {
    const { store, subscriptions, clientsSeen, clock } = this.#parts;
    clientsSeen.write();
    const clients = store.seenClients(CLIENTS_SHOWN).map(({ clientId, firstMs, lastMs, from, jobs }) => {
      const connections = subscriptions.connectionsOf(clientId);
      const lastSeenMs = connections > 0 ? clock.now() : lastMs;
      return { client_id: clientId, first_seen: inSeconds(firstMs), last_seen: inSeconds(lastSeenMs), jobs, connections, from };
    });
    return { clients: clients.toSorted((a, b) => (b.last_seen ?? 0) - (a.last_seen ?? 0)), anonymous_connections: subscriptions.anonymousConnections };
  }

  sizes(): Sizes {
    return { sizes: this.#parts.store.sizes(SIZES_SHOWN) };
  }

  settings(): SettingsAnswer {
    const { settings, fixedSettings, fixedDevice: device, folders } = this.#parts;
    return {
      ...settings.settings,
      ...(device === undefined ? {} : { device }),
      outputs_folder: folders.dir,
      fixed: [...fixedSettings],
      takes_effect: takesEffect,
    };
  }

  async changeSettings(change: SettingsChange): Promise<SettingsAnswer> {
    const { settings, fixedSettings, folders, subscriptions, retention, engine } = this.#parts;
    const fixed = fixedSettings.find((name) => change[name] !== undefined);
    if (fixed !== undefined) {
      const message = `${fixed} is fixed by the command line and cannot be changed here; it may be left out. Start the server without that option to change it.`;
      throw new AppError('bad_param', message, { field: fixed });
    }
    const wanted = { ...change };
    if (wanted.outputs_folder !== undefined) wanted.outputs_folder = usableFolder(wanted.outputs_folder);
    const before = settings.settings;
    await settings.change(wanted);
    if (wanted.outputs_folder !== undefined) folders.use(settings.settings.outputs_folder);
    engine.unloadAfter(minutesInMs(settings.settings.unload_model_after_minutes));
    const names = settingNameSchema.options.filter((name) => wanted[name] !== undefined && wanted[name] !== before[name]);
    retention.look();
    if (names.length > 0) subscriptions.tellWatchers({ type: 'settings_changed', names });
    return this.settings();
  }

  imageFile(filename: string): Promise<string | null> {
    return this.#imageFile(filename, false);
  }

  binnedImageFile(filename: string): Promise<string | null> {
    return this.#imageFile(filename, true);
  }

  async #imageFile(filename: string, isBinned: boolean): Promise<string | null> {
    const { store, folders } = this.#parts;
    const original = originalFileName(filename);
    const job = original === null ? null : store.jobByFilename(original);
    if (job === null || (job.deletedAtMs !== null) !== isBinned) return null;
    const result = wireResult(job.state);
    return filename === result?.filename || filename === result?.upscaled_filename ? folders.servedPath(filename, isBinned) : null;
  }

  async close(how: 'park' | 'now'): Promise<void> {
    const { processor, store, admission, clientsSeen, retention, unlock } = this.#parts;
    admission.close();
    await retention.close();
    await processor.close(how);
    // a park that waits may be overtaken by a `now`
    if (this.#closed) return;
    this.#closed = true;
    clientsSeen.write();
    if (how === 'park') this.#noteCleanEnd();
    store.close();
    unlock();
  }

  #noteCleanEnd(): void {
    const { store, log } = this.#parts;
    try {
      store.setSetting(CLEAN_END, 'true');
    } catch (thrown) {
      log.warn({ err: thrown }, 'the clean end could not be written down; the next start looks through the folder of pictures');
    }
  }

  #statusFor(listener: Listener, jobId: string): StatusDraft {
    const job = this.#known(jobId);
    const gaveUp = this.#parts.subscriptions.interestOf(listener, jobId)?.stand === 'cancelled';
    if (gaveUp) return statusDraft({ ...job, state: { status: 'cancelled' } });
    return { ...statusDraft(job), ...this.#parts.processor.times(jobId) };
  }

  #cancel(listener: Listener, jobId: string, requestId: RequestId): void {
    const { subscriptions, unitOfWork, processor } = this.#parts;
    const job = this.#known(jobId);
    const interest = subscriptions.interestOf(listener, jobId);
    const status = interest?.stand === 'cancelled' ? 'cancelled' : job.state.status;
    if (status !== 'pending' && status !== 'processing') {
      throw appError('not_cancellable', { status });
    }
    const isShared = subscriptions.othersInterested(listener, jobId) > 0;
    if (isShared && interest?.stand !== 'live') {
      throw appError('job_of_others', {});
    }
    const cancelled: StoredJob = { ...job, state: { status: 'cancelled' } };
    unitOfWork.commit((afterCommit) => {
      if (isShared) afterCommit(subscriptions.addressOne(listener, statusDraft(cancelled), interest?.requestId));
      else if (unitOfWork.apply(job, { type: 'cancelled' }, afterCommit) !== null) afterCommit(() => processor.drop(jobId));
      if (interest !== null) afterCommit(subscriptions.setInterest(listener, jobId, interest.requestId, 'cancelled'));
    });
    // its subscription has told it with the request_id of its create_job; the cancel_job gets an answer of its own unless the two would be the same
    if (interest?.stand !== 'live' || (requestId !== undefined && requestId !== interest.requestId))
      subscriptions.answer(listener, statusDraft(cancelled), requestId);
    processor.startWaiting();
  }

  #cancelWaiting(): void {
    const { unitOfWork, processor, store } = this.#parts;
    unitOfWork.commit((afterCommit) => {
      for (const jobId of processor.waitingIds()) {
        const job = store.job(jobId);
        if (job !== null && unitOfWork.apply(job, { type: 'cancelled' }, afterCommit) !== null) afterCommit(() => processor.drop(jobId));
      }
    });
  }

  #clientJobs(listener: Listener, requestId: RequestId): void {
    if (listener.clientId === null) throw appError('client_id_required', {});
    const jobs = this.#parts.store.clientJobs(listener.clientId).map(({ jobId, createdAtMs, state, stand }) => ({
      job_id: jobId,
      task_type: 'text_to_image' as const,
      status: stand === 'cancelled' ? ('cancelled' as const) : state.status,
      created_at: createdAtMs / 1000,
      result: stand === 'cancelled' ? null : wireResult(state),
    }));
    listener.send({ type: 'client_jobs', jobs, request_id: requestId });
  }

  #known(jobId: string): StoredJob {
    const job = this.#parts.store.job(jobId);
    if (job === null) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
    return job;
  }

  #record(job: StoredJob): JobRecord {
    const { state, params } = job;
    return {
      job_id: job.jobId,
      task_type: 'text_to_image',
      status: state.status,
      params,
      result: wireResult(state),
      error: state.status === 'failed' ? state.error.message : null,
      code: state.status === 'failed' ? state.error.code : null,
      checkpoint: job.checkpoint.name,
      upscaler: job.upscaler.name,
      created_at: job.createdAtMs / 1000,
      finished_at: job.finishedAtMs === null ? null : job.finishedAtMs / 1000,
      clients: this.#parts.store.interests(job.jobId).map(({ clientId }) => clientId),
      starred: job.starred,
      deleted: job.deletedAtMs !== null,
      deleted_at: job.deletedAtMs === null ? null : job.deletedAtMs / 1000,
      position: this.#parts.processor.times(job.jobId).position ?? null,
    };
  }
}

/** A folder that the settings name and that is away (an unplugged disk) must not keep the program from its start: jobs are refused until it is back. */
function openOutputs(dir: string, settings: SettingsFile, { outputsDir, log }: JobsOptions): ImageFolders {
  try {
    prepareOutputsFolder(dir);
  } catch (thrown) {
    if (dir === outputsDir) throw thrown;
    log.error({ err: thrown, folder: dir }, 'the folder for pictures cannot be used; jobs are refused until it can or the settings name another one');
  }
  return new ImageFolders(dir, [...settings.earlierFolders, outputsDir]);
}

/** The folder's full path; it is there then. Throws `bad_param`. */
function usableFolder(path: string): string {
  try {
    if (!isAbsolute(path) || path.includes('\0')) throw new Error('it is no absolute path');
    prepareOutputsFolder(path);
    return resolve(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `outputs_folder is ${quoteValue(path)}; it must be the absolute path of a folder that can be written to, as ${resolve('/pictures')}. ${reason}`;
    throw new AppError('bad_param', message, { field: 'outputs_folder' }, { cause });
  }
}

function minutesInMs(minutes: number | null): number | null {
  return minutes === null ? null : minutes * 60_000;
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

async function indexAgain(store: Store, folders: ImageFolders, movedAside: string, log: JobsLog): Promise<void> {
  const pictures = await indexOutputs(store, folders);
  log.warn({ moved_to: movedAside, pictures }, 'the database was damaged and was moved aside; the pictures were indexed again from the recipes in them');
}
