import { z } from 'zod';
import { ClientRepository } from './client-repository.ts';
import { EventRepository } from './event-repository.ts';
import { JobRepository } from './job-repository.ts';
import { LabelRepository } from './label-repository.ts';
import { PixelRepository } from './pixel-repository.ts';
import { ProgramState } from './program-state.ts';
import { SqlConnection } from './sql-connection.ts';
import type { SqliteDatabase } from './sqlite.ts';
import { SubscriptionRepository } from './subscription-repository.ts';
import { TimingRepository } from './timing-repository.ts';

/** Pages that are given back to the disk in one step, some milliseconds. */
const PAGES_AT_ONCE = 1000;
const freePagesSchema = z.object({ freelist_count: z.number() });

/** What survives a restart: one repository for each kind of thing, over one database. */
export interface Store {
  jobs: JobRepository;
  subscriptions: SubscriptionRepository;
  events: EventRepository;
  clients: ClientRepository;
  timings: TimingRepository;
  pixels: PixelRepository;
  labels: LabelRepository;
  state: ProgramState;
  /** See `SqlConnection.transaction`. */
  transaction<T>(work: () => T): T;
  /** After something was deleted: gives a part of the freed space back to the disk. False when there is nothing more to give back. */
  shrink(): boolean;
  /** Every later call throws `shutting_down`. */
  close(): void;
}

export function createStore(database: SqliteDatabase): Store {
  const sql = new SqlConnection(database);
  return {
    jobs: new JobRepository(sql),
    subscriptions: new SubscriptionRepository(sql),
    events: new EventRepository(sql),
    clients: new ClientRepository(sql),
    timings: new TimingRepository(sql),
    pixels: new PixelRepository(sql),
    labels: new LabelRepository(sql),
    state: new ProgramState(sql),
    transaction: (work) => sql.transaction(work),
    shrink() {
      const { freelist_count: freePages } = freePagesSchema.parse(sql.get('PRAGMA freelist_count'));
      // the pragma frees one page with each row that is read
      if (freePages > 0) sql.allOnce(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`);
      else sql.allOnce('PRAGMA wal_checkpoint(TRUNCATE)');
      return freePages > 0;
    },
    close: () => sql.close(),
  };
}
