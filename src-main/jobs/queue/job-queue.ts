import type { StoredJob } from '../store/stored-job.ts';
import { startOrder, type WaitingJob } from './start-order.ts';

const REQUESTERS_REMEMBERED = 10_000;

/** Pending jobs in the order in which they will start; the order is computed again only after a change. */
export class JobQueue {
  readonly #waiting = new Map<string, StoredJob>();
  /** When each requester was last served, oldest first. */
  readonly #lastServed = new Map<string, number>();
  readonly #isOwnWindow: (requester: string) => boolean;
  readonly #windowsFirst: () => boolean;
  #served = 0;
  #order: { jobs: readonly StoredJob[]; places: ReadonlyMap<string, number>; windowsFirst: boolean } | null = null;

  /** `windowsFirst` may answer differently at any time. */
  constructor(isOwnWindow: (requester: string) => boolean, windowsFirst: () => boolean) {
    this.#isOwnWindow = isOwnWindow;
    this.#windowsFirst = windowsFirst;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** The first one is next. The array stays the same until something changes. */
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

  /** Adds a job, or replaces it. */
  set(job: StoredJob): void {
    this.#waiting.set(job.jobId, job);
    this.#order = null;
  }

  remove(jobId: string): void {
    if (this.#waiting.delete(jobId)) this.#order = null;
  }

  /** Of many requesters the one served longest ago is forgotten: it counts as never served. */
  noteServed(requester: string): void {
    this.#lastServed.delete(requester);
    this.#lastServed.set(requester, ++this.#served);
    this.#order = null;
    if (this.#lastServed.size <= REQUESTERS_REMEMBERED) return;
    for (const longest of this.#lastServed.keys()) {
      this.#lastServed.delete(longest);
      return;
    }
  }

  #current() {
    const windowsFirst = this.#windowsFirst();
    if (this.#order === null || this.#order.windowsFirst !== windowsFirst) {
      const waiting = [...this.#waiting.values()].map((job): WaitingJob & { job: StoredJob } => {
        const { jobId, requester, arrival, place } = job;
        return { jobId, requester, arrival, place, ownWindow: this.#isOwnWindow(requester), job };
      });
      const jobs = startOrder(waiting, this.#lastServed, windowsFirst).map(({ job }) => job);
      this.#order = { jobs, places: new Map(jobs.map(({ jobId }, at) => [jobId, at])), windowsFirst };
    }
    return this.#order;
  }
}
