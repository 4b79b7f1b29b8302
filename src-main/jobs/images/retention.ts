import type { SettingsFile } from '#main/settings/settings-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { Clock, JobsLog } from '../jobs.ts';
import type { Store } from '../store/store.ts';
import type { Bin } from './bin.ts';
import type { ImageFolders } from './image-folders.ts';

const EVERY_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;
/** Jobs that are dealt with in one turn of the event loop. */
const AT_ONCE = 20;
/** Kept pictures may take this share of the limit; the rest is the bin's, so that there is time for an undo. */
const KEPT_SHARE = 0.9;

interface Parts {
  store: Store;
  folders: ImageFolders;
  bin: Bin;
  settings: SettingsFile;
  clock: Clock;
  log: JobsLog;
}

/** Keeps the pictures within `disk_limit_gb` and the bin within `empty_bin_after_days`. Starred jobs and those that have not ended are never touched. */
export class Retention {
  readonly #parts: Parts;
  #run: Promise<void> | null = null;
  #runAgain = false;
  #callOff: () => void = () => {};
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Looks now and then every hour. */
  start(): void {
    this.look();
    this.#callOff = this.#parts.clock.schedule(() => this.start(), EVERY_MS);
  }

  /** After a picture was made or a setting was changed. Does its work in small parts, beside everything else. */
  look(): void {
    if (this.#closed) return;
    if (this.#run !== null) {
      this.#runAgain = true;
      return;
    }
    this.#run = this.#work()
      .catch((thrown: unknown) => this.#parts.log.error({ err: thrown }, 'old pictures could not be removed; the next attempt follows within the hour'))
      .finally(() => {
        this.#run = null;
        if (!this.#runAgain) return;
        this.#runAgain = false;
        this.look();
      });
  }

  /** Why another picture must not be made: what may not be deleted takes up the whole limit. */
  reasonForNoRoom(neededBytes: number): AppError<'disk_full'> | null {
    const limitBytes = this.#limitBytes();
    if (limitBytes === null) return null;
    const freeBytes = Math.max(0, limitBytes - this.#parts.store.starredBytes());
    if (freeBytes >= neededBytes) return null;
    const message =
      `Starred pictures leave ${Math.floor(freeBytes / 1e6)} MB of the ${limitBytes / 1e9} GB that disk_limit_gb allows, and this job may need ` +
      `${Math.ceil(neededBytes / 1e6)} MB. Take stars away or raise the limit in the settings, then send the job again.`;
    return new AppError('disk_full', message, { neededBytes, freeBytes });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#callOff();
    await this.#run;
  }

  async #work(): Promise<void> {
    const { store, bin, settings, clock, log } = this.#parts;
    await this.#measure();
    const { empty_bin_after_days: days } = settings.settings;
    if (days !== null) {
      await this.#repeat(() => {
        const old = store.binnedJobs({ beforeMs: clock.now() - days * DAY_MS, limit: AT_ONCE });
        bin.deleteForGood(old);
        return old.length > 0;
      });
    }
    const limitBytes = this.#limitBytes();
    if (limitBytes === null) return;
    let binned = 0;
    await this.#repeat(() => {
      if (store.keptBytes() <= limitBytes * KEPT_SHARE) return false;
      const oldest = store.oldestUnstarred(1);
      for (const job of oldest) bin.put(job, clock.now());
      binned += oldest.length;
      return oldest.length > 0;
    });
    if (binned > 0) log.info({ jobs: binned, limit_gb: limitBytes / 1e9 }, 'the oldest pictures were moved to the bin to stay within the limit');
    await this.#repeat(() => {
      if (store.keptBytes() + store.binnedBytes() <= limitBytes) return false;
      const longest = store.binnedJobs({ limit: 1 });
      bin.deleteForGood(longest);
      return longest.length > 0;
    });
  }

  /** Notes the size of every ended job's files, once. */
  async #measure(): Promise<void> {
    const { store, folders } = this.#parts;
    await this.#repeat(() => {
      const unmeasured = store.unmeasuredJobs(AT_ONCE);
      store.transaction(() => {
        for (const { jobId, filename } of unmeasured) store.setSize(jobId, folders.sizeBytes(filename));
      });
      return unmeasured.length > 0;
    });
  }

  async #repeat(step: () => boolean): Promise<void> {
    while (!this.#closed && step()) await new Promise(setImmediate);
  }

  #limitBytes(): number | null {
    const { disk_limit_gb: gigabytes } = this.#parts.settings.settings;
    return gigabytes === null ? null : gigabytes * 1e9;
  }
}
