import type { Clock } from '#main/lib/clock.ts';
import { type JobEvent, transition } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { DomainEvent } from '../events/domain-event.ts';
import type { StatusTimes, Subscriptions } from '../events/subscriptions.ts';
import type { JobsLog } from '../jobs.ts';
import type { Store } from './store.ts';
import type { StoredJob } from './stored-job.ts';

const RETRY_MS = 250;
/** With the wait of each attempt in SQLite this is about seven seconds. */
const ATTEMPTS = 20;

export interface CommitListener {
  /** Called once after each commit, before the messages about it are sent. */
  onCommitted(events: readonly DomainEvent[]): void;
  /** Place and times of an unfinished job, for those messages. */
  times(jobId: string): StatusTimes;
}

/** Changes to jobs: first the disk, then memory and the clients, or nothing at all. */
export class UnitOfWork {
  readonly #store: Store;
  readonly #subscriptions: Subscriptions;
  readonly #clock: Clock;
  readonly #log: JobsLog;
  #listener: CommitListener | null = null;

  constructor(store: Store, subscriptions: Subscriptions, clock: Clock, log: JobsLog) {
    this.#store = store;
    this.#subscriptions = subscriptions;
    this.#clock = clock;
    this.#log = log;
  }

  notify(listener: CommitListener): void {
    this.#listener = listener;
  }

  /**
   * Runs `work` in one transaction; the events that it adds are handed out after the commit. Throws what `work` or the store throws, with nothing changed or sent.
   * A listener that throws is logged: the change has been committed, so the others hear of it and the caller goes on.
   */
  commit<T>(work: (events: DomainEvent[]) => T): T {
    const events: DomainEvent[] = [];
    const { value, numbered } = this.#inTransaction(() => {
      const value = work(events);
      return { value, numbered: events.map((event) => this.#subscriptions.record(event)) };
    });
    this.#guard(() => this.#listener?.onCommitted(events));
    const times = (jobId: string) => this.#listener?.times(jobId) ?? {};
    for (const each of numbered) this.#guard(() => this.#subscriptions.deliver(each, times));
    return value;
  }

  /** As `commit`, but while another program keeps the database locked it tries again for some seconds. `work` may run several times. The first attempt is made before this returns. */
  async commitSoon<T>(work: (events: DomainEvent[]) => T): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.commit(work);
      } catch (thrown) {
        if (!isDatabaseBusy(thrown) || attempt === ATTEMPTS) throw thrown;
        await new Promise<void>((resolve) => this.#clock.schedule(resolve, RETRY_MS));
      }
    }
  }

  /** Inside `commit`: takes the job one step on. Null, and nothing changes, where the contract does not allow that step. */
  apply(job: StoredJob, event: JobEvent, events: DomainEvent[]): StoredJob | null {
    const state = job.isForeign ? null : transition(job.state, event);
    if (state === null) return null;
    const changed = this.#store.jobs.setState(job.jobId, state, this.#clock.now());
    events.push({ type: 'job_changed', job: changed });
    return changed;
  }

  #inTransaction<T>(work: () => T): T {
    try {
      return this.#store.transaction(work);
    } catch (thrown) {
      this.#subscriptions.forgetUncommitted();
      throw thrown;
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#log.error({ err: thrown }, 'a change was committed, but not every listener could be notified');
    }
  }
}

function isDatabaseBusy(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === 'database_busy';
}
