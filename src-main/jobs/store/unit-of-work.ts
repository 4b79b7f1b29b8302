import { isEnd, type JobEvent, transition } from '#shared/domain/job.ts';
import { statusDraft } from '../events/status-message.ts';
import type { StatusTimes, Subscriptions } from '../events/subscriptions.ts';
import type { JobsLog } from '../jobs.ts';
import type { Store, StoredJob } from './store.ts';

/** Called with something to be done once the commit has reached the disk: sending, or changing memory. In order. */
export type AfterCommit = (effect: () => void) => void;

/** Changes to jobs: first the disk, then memory and the clients, or nothing at all. */
export class UnitOfWork {
  readonly #store: Store;
  readonly #subscriptions: Subscriptions;
  readonly #now: () => number;
  readonly #log: JobsLog;

  constructor(store: Store, subscriptions: Subscriptions, now: () => number, log: JobsLog) {
    this.#store = store;
    this.#subscriptions = subscriptions;
    this.#now = now;
    this.#log = log;
  }

  /**
   * Runs `work` in one transaction and then its effects. Throws what `work` or the store throws, with nothing changed or sent.
   * An effect that throws is logged: what it belongs to has been committed, so that the others happen and the caller goes on.
   */
  commit<T>(work: (afterCommit: AfterCommit) => T): T {
    const effects: (() => void)[] = [];
    let value: T;
    try {
      value = this.#store.transaction(() => work((effect) => effects.push(effect)));
    } catch (thrown) {
      this.#subscriptions.forgetUncommitted();
      throw thrown;
    }
    for (const effect of effects) {
      try {
        effect();
      } catch (thrown) {
        this.#log.error({ err: thrown }, 'a change was committed, but not everybody could be told');
      }
    }
    return value;
  }

  /** Inside `commit`: takes the job one step on and tells its subscribers. Null, and nothing changes, where the contract does not allow that step. */
  apply(job: StoredJob, event: JobEvent, afterCommit: AfterCommit, times?: () => StatusTimes): StoredJob | null {
    const state = transition(job.state, event);
    if (state === null) return null;
    this.#store.setState(job.jobId, state, this.#now());
    const changed: StoredJob = { ...job, state };
    afterCommit(this.#subscriptions.addressStatus(statusDraft(changed), 'interested', times));
    if (isEnd(state)) afterCommit(this.#subscriptions.endInterests(job.jobId));
    return changed;
  }
}
