import type { RequestId } from '#shared/protocol/messages.ts';
import type { StoredJob } from '../store/stored-job.ts';
import type { Standing } from '../store/subscription-repository.ts';
import type { Connection } from './connections.ts';

/** What a transaction did. Events are collected while it runs and handed to the listeners once, in order, after the commit. */
export type DomainEvent =
  /** The job has another state. Its live subscribers and the watchers of all jobs hear of it. */
  | { type: 'job_changed'; job: StoredJob }
  /** The job's images were moved to the bin, or came back. Everybody who asked for the job hears of it, and the watchers. */
  | { type: 'bin_changed'; job: StoredJob }
  /** Waiting jobs have other places. */
  | { type: 'jobs_moved'; jobs: StoredJob[] }
  | { type: 'subscription_changed'; connection: Connection; jobId: string; requestId: RequestId; standing: Standing }
  /** One client left a job that goes on for others. */
  | { type: 'client_left'; connection: Connection; job: StoredJob; requestId: RequestId }
  /** The answer to one message, for that connection only. */
  | { type: 'answered'; connection: Connection; job: StoredJob; requestId: RequestId; cached: boolean }
  | { type: 'refused'; refuse: (reason: unknown) => void; reason: unknown };
