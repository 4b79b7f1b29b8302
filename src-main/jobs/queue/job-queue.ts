import type { StoredJob } from '../store/store.ts';
import { startOrder, type WaitingJob } from './start-order.ts';

const OWNERS_REMEMBERED = 10_000;

/** Jobs in `pending` and the order in which they will start, which is worked out anew only after something has changed. */
export class JobQueue {
  readonly #waiting = new Map<string, StoredJob>();
  /** When each owner was last served, in the order in which they were. */
  readonly #lastServed = new Map<string, number>();
  readonly #isOwnWindow: (owner: string) => boolean;
  readonly #windowsFirst: () => boolean;
  #served = 0;
  #order: { jobs: readonly StoredJob[]; places: ReadonlyMap<string, number>; windowsFirst: boolean } | null = null;

  /** `windowsFirst` may change its answer at any time. */
  constructor(isOwnWindow: (owner: string) => boolean, windowsFirst: () => boolean) {
    this.#isOwnWindow = isOwnWindow;
    this.#windowsFirst = windowsFirst;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** The first one is next. The same array until something changes. */
  get jobs(): readonly StoredJob[] {
    return this.#current().jobs;
  }

  /** Index in `jobs`, or -1. */
  indexOf(jobId: string): number {
    return this.#current().places.get(jobId) ?? -1;
  }

  has(jobId: string): boolean {
    return this.#waiting.has(jobId);
  }

  /** Also replaces what is known of a job that waits already. */
  set(job: StoredJob): void {
    this.#waiting.set(job.jobId, job);
    this.#order = null;
  }

  remove(jobId: string): void {
    if (this.#waiting.delete(jobId)) this.#order = null;
  }

  /** The longest unserved owner is forgotten first: it only counts as never served. */
  noteServed(owner: string): void {
    this.#lastServed.delete(owner);
    this.#lastServed.set(owner, ++this.#served);
    this.#order = null;
    if (this.#lastServed.size <= OWNERS_REMEMBERED) return;
    for (const longest of this.#lastServed.keys()) {
      this.#lastServed.delete(longest);
      return;
    }
  }

  #current() {
    const windowsFirst = this.#windowsFirst();
    if (this.#order === null || this.#order.windowsFirst !== windowsFirst) {
      const waiting = [...this.#waiting.values()].map((job): WaitingJob & { job: StoredJob } => {
        const { jobId, owner, arrival, place } = job;
        return { jobId, owner, arrival, place, ownWindow: this.#isOwnWindow(owner), job };
      });
      const jobs = startOrder(waiting, this.#lastServed, windowsFirst).map(({ job }) => job);
      this.#order = { jobs, places: new Map(jobs.map(({ jobId }, at) => [jobId, at])), windowsFirst };
    }
    return this.#order;
  }
}
