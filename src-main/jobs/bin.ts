import type { Audience } from './audience.ts';
import { upscaledFileName } from './file-name.ts';
import type { Journal } from './journal.ts';
import type { Outputs } from './outputs.ts';
import { statusDraft } from './status-message.ts';
import type { Store, StoredJob } from './store.ts';

interface Parts {
  store: Store;
  audience: Audience;
  journal: Journal;
  outputs: Outputs;
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
    const { outputs } = this.#parts;
    try {
      outputs.moveToBin(job.filename);
      return this.#setDeleted(job, nowMs);
    } catch (thrown) {
      outputs.moveFromBin(job.filename);
      throw thrown;
    }
  }

  restore(job: StoredJob): StoredJob {
    this.#parts.outputs.moveFromBin(job.filename);
    return this.#setDeleted(job, null);
  }

  deleteForGood(jobs: readonly StoredJob[]): void {
    const { store, outputs } = this.#parts;
    for (const { filename } of jobs) outputs.deleteFromBin(filename);
    store.transaction(() => {
      for (const { jobId } of jobs) store.forgetJob(jobId);
    });
    for (const listener of this.#listeners) listener(jobs.flatMap(({ filename }) => [filename, upscaledFileName(filename)]));
  }

  #setDeleted(job: StoredJob, deletedAtMs: number | null): StoredJob {
    const { store, audience, journal } = this.#parts;
    const changed: StoredJob = { ...job, deletedAtMs };
    journal.commit((afterCommit) => {
      store.setDeleted(job.jobId, deletedAtMs);
      afterCommit(audience.addressStatus({ ...statusDraft(changed), deleted: deletedAtMs !== null }, 'asked'));
    });
    return changed;
  }
}
