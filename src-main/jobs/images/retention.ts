import type { Clock } from '#main/lib/clock.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { Settings } from '#shared/protocol/settings.ts';
import type { InputImages } from '../input-images.ts';
import type { JobsLog } from '../jobs.ts';
import type { Store } from '../store/store.ts';
import type { AgeClock } from './age-clock.ts';
import type { Bin } from './bin.ts';
import type { ImageFolders } from './image-folders.ts';

const EVERY_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;
const MEASURED_AT_ONCE = 20;
/** Images outside the bin may take this share of the limit; the rest is the bin's, so that there is time for an undo. */
const KEPT_SHARE = 0.9;

interface Parts {
  store: Store;
  folders: ImageFolders;
  bin: Bin;
  inputs: InputImages;
  ageClock: AgeClock;
  settings: () => Readonly<Settings>;
  clock: Clock;
  log: JobsLog;
}

/** Keeps the images within `disk_limit_gb` and the bin within `empty_bin_after_days`. Starred jobs and jobs that have not ended are never touched. */
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
    try {
      this.#parts.ageClock.save();
    } catch (thrown) {
      this.#parts.log.warn({ err: thrown }, 'the age of what is in the bin could not be saved; after a restart it counts as younger');
    }
    this.look();
    this.#callOff = this.#parts.clock.schedule(() => this.start(), EVERY_MS);
  }

  /** After an image was made or a setting was changed. Works in small parts, beside everything else. */
  look(): void {
    if (this.#closed) return;
    if (this.#run !== null) {
      this.#runAgain = true;
      return;
    }
    this.#run = this.#work()
      .catch((thrown: unknown) => this.#parts.log.error({ err: thrown }, 'old images could not be removed; the next attempt follows within the hour'))
      .finally(() => {
        this.#run = null;
        if (!this.#runAgain) return;
        this.#runAgain = false;
        this.look();
      });
  }

  /** Why there is no room for another image: what may not be deleted takes up the whole limit. */
  reasonForNoRoom(neededBytes: number): AppError<'disk_full'> | null {
    const limitBytes = this.#limitBytes();
    if (limitBytes === null) return null;
    const freeBytes = Math.max(0, limitBytes - this.#parts.store.jobs.starredBytes());
    if (freeBytes >= neededBytes) return null;
    const message =
      `Starred images leave ${Math.floor(freeBytes / 1e6)} MB of the ${limitBytes / 1e9} GB that disk_limit_gb allows, and this job may need ` +
      `${Math.ceil(neededBytes / 1e6)} MB. Remove stars or raise the limit in the settings, then send the job again.`;
    return new AppError('disk_full', message, { neededBytes, freeBytes });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#callOff();
    await this.#run;
  }

  async #work(): Promise<void> {
    const { store, bin, inputs, settings, ageClock, log } = this.#parts;
    await inputs.removeUnused(store.jobs.inputImages());
    await this.#measure();
    const { empty_bin_after_days: days } = settings();
    if (days !== null) {
      const beforeAgeMs = ageClock.now() - days * DAY_MS;
      await bin.deleteForGood((except, limit) => (this.#closed ? [] : store.jobs.binned({ beforeAgeMs, except, limit })));
    }
    const limitBytes = this.#limitBytes();
    if (limitBytes === null) return;
    const binned = await this.#moveOldestToBin(limitBytes * KEPT_SHARE);
    if (binned > 0) log.info({ jobs: binned, limit_gb: limitBytes / 1e9 }, 'the oldest images were moved to the bin to stay within the limit');
    await bin.deleteForGood((except) => {
      if (this.#closed || store.jobs.keptBytes() + store.jobs.binnedBytes() <= limitBytes) return [];
      return store.jobs.binned({ except, limit: 1 });
    });
  }

  async #moveOldestToBin(keptBytes: number): Promise<number> {
    const { store, bin, log } = this.#parts;
    const failed: string[] = [];
    for (let binned = 0; ; binned++) {
      if (this.#closed || store.jobs.keptBytes() <= keptBytes) return binned;
      const [oldest] = store.jobs.oldestUnstarred(failed, 1);
      if (oldest === undefined) return binned;
      try {
        await bin.put(oldest.jobId);
      } catch (thrown) {
        failed.push(oldest.jobId);
        binned--;
        if (!oldest.isForeign) log.warn({ err: thrown, job_id: oldest.jobId }, 'the images of a job could not be moved to the bin');
      }
    }
  }

  /** Notes the size of every ended job's files, once. */
  async #measure(): Promise<void> {
    const { store, folders, log } = this.#parts;
    for (let last = 0; !this.#closed; ) {
      const jobs = store.jobs.unmeasured(last, MEASURED_AT_ONCE);
      if (jobs.length === 0) return;
      const sizes = await Promise.all(jobs.map(async ({ jobId, filename }) => ({ jobId, bytes: await folders.sizeBytes(filename) })));
      if (this.#closed) return;
      store.transaction(() => {
        for (const { jobId, bytes } of sizes) if (bytes !== null) store.jobs.setSize(jobId, bytes);
      });
      last = jobs.at(-1)?.number ?? last;
      if (sizes.some(({ bytes }) => bytes === null)) log.warn({}, 'the size of some images is not known because their folder is away');
    }
  }

  #limitBytes(): number | null {
    const { disk_limit_gb: gigabytes } = this.#parts.settings();
    return gigabytes === null ? null : gigabytes * 1e9;
  }
}
