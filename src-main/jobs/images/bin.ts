import { statusDraft } from '../events/status-message.ts';
import type { Subscriptions } from '../events/subscriptions.ts';
import type { Store, StoredJob } from '../store/store.ts';
import type { UnitOfWork } from '../store/unit-of-work.ts';
import { upscaledFileName } from './file-name.ts';
import type { ImageFolders } from './image-folders.ts';

interface Parts {
  store: Store;
  subscriptions: Subscriptions;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
}

/** Ended jobs on their way out: into the bin, back from it, or away for good. Clients that asked for a job are told of the first two. */
export class Bin {
  readonly #parts: Parts;
  readonly #listeners: ((filenames: string[]) => void)[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Names of the pictures, enlargements included, whose files are gone for good. */
  onDeleted(listener: (filenames: string[]) => void): void {
    this.#listeners.push(listener);
  }

  /** Files first, so that a folder that cannot be written leaves the job where it was; a crash before the row is mended at the next start. */
  put(job: StoredJob, nowMs: number): StoredJob {
    const { folders } = this.#parts;
    try {
      folders.moveToBin(job.filename);
      return this.#setDeleted(job, nowMs);
    } catch (thrown) {
      folders.moveFromBin(job.filename);
      throw thrown;
    }
  }

  restore(job: StoredJob): StoredJob {
    this.#parts.folders.moveFromBin(job.filename);
    return this.#setDeleted(job, null);
  }

  deleteForGood(jobs: readonly StoredJob[]): void {
    const { store, folders } = this.#parts;
    for (const { filename } of jobs) folders.deleteFromBin(filename);
    store.transaction(() => {
      for (const { jobId } of jobs) store.forgetJob(jobId);
    });
    for (const listener of this.#listeners) listener(jobs.flatMap(({ filename }) => [filename, upscaledFileName(filename)]));
  }

  #setDeleted(job: StoredJob, deletedAtMs: number | null): StoredJob {
    const { store, subscriptions, unitOfWork } = this.#parts;
    const changed: StoredJob = { ...job, deletedAtMs };
    unitOfWork.commit((afterCommit) => {
      store.setDeleted(job.jobId, deletedAtMs);
      afterCommit(subscriptions.addressStatus({ ...statusDraft(changed), deleted: deletedAtMs !== null }, 'asked'));
    });
    return changed;
  }
}
