import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '#main/lib/clock.ts';
import { isEnd } from '#shared/domain/job.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { JobsLog } from '../jobs.ts';
import type { Store } from '../store/store.ts';
import type { StoredJob } from '../store/stored-job.ts';
import type { UnitOfWork } from '../store/unit-of-work.ts';
import type { AgeClock } from './age-clock.ts';
import { upscaledFileName } from './file-name.ts';
import type { ImageFolders } from './image-folders.ts';

const DELETED_AT_ONCE = 20;
const COMMITTED_AT_ONCE = 20;

interface Parts {
  store: Store;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  ageClock: AgeClock;
  clock: Clock;
  log: JobsLog;
}

interface Change {
  change: () => StoredJob | AppError;
  resolve(job: StoredJob): void;
  reject(reason: unknown): void;
}

/** A job that could not be deleted, and why. */
export interface FailedDeletion {
  jobId: string;
  reason: unknown;
}

/** Moves ended jobs into the bin and back, and deletes them for good; for each job one after the other. Files first, so that a failure leaves the job where it was. */
export class Bin {
  readonly #parts: Parts;
  readonly #listeners: ((filenames: string[]) => void)[] = [];
  /** The newest operation of each job. */
  readonly #running = new Map<string, Promise<unknown>>();
  #uncommitted: Change[] = [];
  #isCommitting = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Called with the names of images, upscaled ones included, whose files were permanently deleted. */
  onDeleted(listener: (filenames: string[]) => void): void {
    this.#listeners.push(listener);
  }

  /** Throws `unknown_job`, `job_not_ended`, `job_of_other_version`, `folder_not_writable`. */
  put(jobId: string): Promise<StoredJob> {
    return this.#inTurn([jobId], async () => {
      const job = this.#known(jobId);
      if (job.deletedAtMs !== null) return job;
      if (!isEnd(job.state)) throw notEnded(jobId, job.state.status);
      const { folders, ageClock, clock, store } = this.#parts;
      try {
        await folders.moveToBin(job.filename);
        return await this.#commit(() => {
          // asked for again while its files were moved
          if (store.jobs.byId(jobId)?.state.status !== job.state.status) return notEnded(jobId, 'pending');
          return store.jobs.moveToBin(jobId, clock.now(), ageClock.now());
        });
      } catch (thrown) {
        await this.#tryToMoveBack(() => folders.moveFromBin(job.filename), jobId);
        throw thrown;
      }
    });
  }

  /** `asNewest` for a job that was asked for again. Throws `unknown_job`, `job_of_other_version`, `folder_not_writable`. */
  restore(jobId: string, { asNewest = false } = {}): Promise<StoredJob> {
    return this.#inTurn([jobId], async () => {
      const job = this.#known(jobId);
      if (job.deletedAtMs === null) return job;
      const { folders, store, clock } = this.#parts;
      try {
        await folders.moveFromBin(job.filename);
        return await this.#commit(() => (asNewest ? store.jobs.restoreAsNewest(jobId, clock.now()) : store.jobs.restore(jobId)));
      } catch (thrown) {
        await this.#tryToMoveBack(() => folders.moveToBin(job.filename), jobId);
        throw thrown;
      }
    });
  }

  /** Resolves when no operation on this job is running. */
  async settled(jobId: string): Promise<void> {
    await this.#running.get(jobId);
  }

  /** Resolves when what runs now has ended. */
  async close(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Deletes jobs in the bin for good; `next` gives the following ones, without those that failed, until it gives none. A failed job stays in the bin. */
  async deleteForGood(next: (except: string[], limit: number) => StoredJob[]): Promise<{ deleted: number; failed: FailedDeletion[] }> {
    const failed = new Map<string, unknown>();
    let deleted = 0;
    for (;;) {
      const jobs = next([...failed.keys()], DELETED_AT_ONCE);
      if (jobs.length === 0) break;
      deleted += await this.#inTurn(
        jobs.map(({ jobId }) => jobId),
        () => this.#deleteBatch(jobs, failed),
      );
    }
    if (deleted > 0) await this.#shrink();
    for (const [jobId, reason] of failed) {
      if (!isForeign(reason)) this.#parts.log.warn({ err: reason, job_id: jobId }, 'a job could not be permanently deleted and stays in the bin');
    }
    return { deleted, failed: [...failed].map(([jobId, reason]) => ({ jobId, reason })) };
  }

  /** Returns how many were deleted. */
  async #deleteBatch(jobs: readonly StoredJob[], failed: Map<string, unknown>): Promise<number> {
    const { store, unitOfWork, folders } = this.#parts;
    const done: StoredJob[] = [];
    for (const { jobId, filename } of jobs) {
      const job = store.jobs.byId(jobId);
      // restored or deleted meanwhile
      if (job === null || job.deletedAtMs === null) continue;
      try {
        if (job.isForeign) throw appError('job_of_other_version', {});
        await folders.deleteFromBin(filename);
        done.push(job);
      } catch (reason) {
        failed.set(jobId, reason);
      }
    }
    if (done.length === 0) return 0;
    await unitOfWork.commitSoon(() => {
      for (const { jobId } of done) {
        store.events.deleteOf(jobId);
        store.jobs.delete(jobId);
      }
    });
    const filenames = done.flatMap(({ filename }) => [filename, upscaledFileName(filename)]);
    for (const listener of this.#listeners) listener(filenames);
    return done.length;
  }

  /** In small steps, as each blocks the event loop. */
  async #shrink(): Promise<void> {
    try {
      while (this.#parts.store.shrink()) await nextTurn();
    } catch (thrown) {
      this.#parts.log.warn({ err: thrown }, 'the database could not be made smaller after a deletion; that happens at the next one');
    }
  }

  /** @param change Runs in a transaction; an error that it returns rejects this change alone. */
  #commit(change: () => StoredJob | AppError): Promise<StoredJob> {
    return new Promise((resolve, reject) => {
      this.#uncommitted.push({ change, resolve, reject });
      if (!this.#isCommitting) void this.#commitAll();
    });
  }

  /** In small groups: a commit blocks the event loop until it is on the disk, and hundreds of images may be moved at once. Never rejects. */
  async #commitAll(): Promise<void> {
    this.#isCommitting = true;
    while (this.#uncommitted.length > 0) {
      await nextTurn();
      const group = this.#uncommitted.splice(0, COMMITTED_AT_ONCE);
      try {
        const results = await this.#parts.unitOfWork.commitSoon((events) =>
          group.map(({ change }) => {
            const result = change();
            if (!(result instanceof AppError)) events.push({ type: 'bin_changed', job: result });
            return result;
          }),
        );
        for (const [i, result] of results.entries()) {
          if (result instanceof AppError) group[i]?.reject(result);
          else group[i]?.resolve(result);
        }
      } catch (thrown) {
        for (const { reject } of group) reject(thrown);
      }
    }
    this.#isCommitting = false;
  }

  /** The first error is the one to report, so this one is only logged; the next start moves the files where the database says. */
  async #tryToMoveBack(move: () => Promise<void>, jobId: string): Promise<void> {
    await move().catch((thrown: unknown) => this.#parts.log.error({ err: thrown, job_id: jobId }, 'the files of a job could not be moved back'));
  }

  #known(jobId: string): StoredJob {
    const job = this.#parts.store.jobs.byId(jobId);
    if (job === null) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
    if (job.isForeign) throw appError('job_of_other_version', {});
    return job;
  }

  /** Runs `work` when nothing else runs on these jobs. */
  #inTurn<T>(jobIds: readonly string[], work: () => Promise<T>): Promise<T> {
    const result = Promise.all(jobIds.map((jobId) => this.#running.get(jobId))).then(work);
    const settled = result.catch(() => undefined); // reported to its own caller; the next one is independent
    for (const jobId of jobIds) this.#running.set(jobId, settled);
    void settled.then(() => {
      for (const jobId of jobIds) if (this.#running.get(jobId) === settled) this.#running.delete(jobId);
    });
    return result;
  }
}

function isForeign(reason: unknown): boolean {
  return reason instanceof AppError && reason.code === 'job_of_other_version';
}

function notEnded(jobId: string, status: string): AppError<'job_not_ended'> {
  return new AppError('job_not_ended', `Job ${jobId} is ${status}; only a completed, failed or cancelled job can be deleted. Cancel it first.`, { status });
}
