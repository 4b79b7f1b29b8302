import { isEnd } from '#shared/domain/job.ts';
import type { JobPreviewMessage, JobProgressMessage, JobStatusMessage, RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import type { Store } from '../store/store.ts';
import type { StoredJob } from '../store/stored-job.ts';
import type { Standing, Subscription } from '../store/subscription-repository.ts';
import { type Connection, Connections } from './connections.ts';
import type { DomainEvent } from './domain-event.ts';
import { SequenceNumbers } from './sequence-numbers.ts';
import { type StatusDraft, statusDraft } from './status-message.ts';

const STATUSES_BETWEEN_PRUNING = 100;
const CLIENTS_COUNTED = 20_000;

/** Place and times of a job at the moment of sending; not kept for `since`. */
export type StatusTimes = Pick<JobStatusMessage, 'position' | 'wait_ms' | 'eta_ms'>;

/** An event with the numbers that its messages got inside the transaction, so that numbers grow in the order of sending. */
export interface NumberedEvent {
  event: DomainEvent;
  subscribers: Map<string, { requestId: RequestId; seq: number }>;
  watchers: Map<string, number>;
  /** Of an answer to a connection with a client id. */
  seq: number | null;
}

/**
 * Sends each connection the messages about the jobs that it subscribed to or watches, with its `request_id` and `seq`. Statuses are kept for `since` per client
 * id; of progress the latest of each running job, in memory.
 */
export class Subscriptions {
  readonly connections = new Connections();
  readonly #store: Store;
  readonly #replayedStatuses: number;
  readonly #numbers: SequenceNumbers;
  readonly #unpruned = new Map<string, number>();
  /** Subscriptions of jobs that run or wait. */
  readonly #ofJobs = new Map<string, Subscription[]>();
  readonly #latestProgress = new Map<string, Map<string, JobProgressMessage & { seq: number }>>();

  constructor(store: Store, replayedStatuses: number) {
    this.#store = store;
    this.#replayedStatuses = replayedStatuses;
    this.#numbers = new SequenceNumbers(store.events);
  }

  of(connection: Connection, jobId: string): { requestId: RequestId; standing: Standing } | null {
    if (connection.clientId === null) return connection.subscriptions.get(jobId) ?? null;
    return this.#store.subscriptions.of(connection.clientId, jobId);
  }

  /** Whether others than this connection (and the connections of its client id) keep the job alive. */
  othersWant(connection: Connection, jobId: string): boolean {
    if (this.#ofJob(jobId).some(({ clientId, standing }) => standing === 'live' && clientId !== connection.clientId)) return true;
    return this.connections.withoutClientId().some((other) => other !== connection && other.subscriptions.get(jobId)?.standing === 'live');
  }

  /** Inside the transaction: writes what has to survive a restart, and gives every message its number. */
  record(event: DomainEvent): NumberedEvent {
    const numbered: NumberedEvent = { event, subscribers: new Map(), watchers: new Map(), seq: null };
    switch (event.type) {
      case 'job_changed':
        this.#address(numbered, event.job, ['live']);
        if (isEnd(event.job.state)) this.#end(event.job.jobId);
        break;
      case 'bin_changed':
        this.#address(numbered, event.job, ['live', 'over']);
        break;
      case 'subscription_changed': {
        const { connection, jobId, requestId, standing } = event;
        if (connection.clientId === null) break;
        this.#store.subscriptions.set(jobId, { clientId: connection.clientId, requestId, standing });
        this.#ofJobs.delete(jobId);
        break;
      }
      case 'client_left': {
        const { connection, requestId } = event;
        if (connection.clientId !== null) numbered.seq = this.#keep(connection.clientId, requestId, draftOf(event));
        break;
      }
      case 'answered':
        if (event.connection.clientId !== null) numbered.seq = this.#numbers.next(event.connection.clientId);
    }
    return numbered;
  }

  /** After the commit: sends what `record` has numbered. */
  deliver(numbered: NumberedEvent, times: (jobId: string) => StatusTimes): void {
    const { event, seq } = numbered;
    switch (event.type) {
      case 'job_changed':
        this.#send(numbered, event.job, ['live'], isEnd(event.job.state) ? {} : times(event.job.jobId));
        if (isEnd(event.job.state)) this.#forgetEnded(event.job.jobId);
        break;
      case 'bin_changed':
        this.#send(numbered, event.job, ['live', 'over'], {});
        break;
      case 'subscription_changed': {
        const { connection, jobId, requestId, standing } = event;
        if (connection.clientId === null) connection.subscriptions.set(jobId, { requestId, standing });
        break;
      }
      case 'client_left': {
        const { connection, requestId } = event;
        const message = withNumber(draftOf(event), requestId, seq ?? ++connection.seq);
        if (connection.clientId === null) connection.send(message);
        else this.#sendToClient(connection.clientId, message);
        break;
      }
      case 'answered': {
        const { connection, requestId, job, cached } = event;
        const draft = { ...statusDraft(job), ...(cached ? { cached } : {}), ...(isEnd(job.state) ? {} : times(job.jobId)) };
        connection.send(withNumber(draft, requestId, seq ?? ++connection.seq));
        break;
      }
      case 'refused':
        event.refuse(event.reason);
    }
  }

  /** Answers one message; goes to that connection only and is not kept. */
  answer(connection: Connection, draft: StatusDraft, requestId: RequestId): void {
    connection.send(withNumber(draft, requestId, this.#nextSeq(connection)));
  }

  sendProgress(jobId: string, progress: JobProgressMessage['progress']): void {
    const latest = new Map<string, JobProgressMessage & { seq: number }>();
    const isLeft = new Set<string>();
    const message = (seq: number) => ({ type: 'job_progress' as const, job_id: jobId, progress, seq });
    for (const { clientId, standing } of this.#ofJob(jobId)) {
      if (standing === 'cancelled') isLeft.add(clientId);
      if (standing !== 'live') continue;
      const numbered = message(this.#numbers.next(clientId));
      latest.set(clientId, numbered);
      this.#sendToClient(clientId, numbered);
    }
    for (const connection of this.connections.withoutClientId()) {
      if (receives(connection, jobId, ['live'])) connection.send(message(++connection.seq));
    }
    for (const clientId of this.connections.watchingClients()) {
      if (!latest.has(clientId) && !isLeft.has(clientId)) this.#sendToWatcher(clientId, message(this.#numbers.next(clientId)));
    }
    this.#latestProgress.set(jobId, latest);
  }

  wantsPreviews(jobId: string): boolean {
    return [...this.connections].some((connection) => this.#isPreviewed(connection, jobId));
  }

  /** Takes one number a client id, also where it has several connections. Not kept for `since`. */
  sendPreview(preview: JobPreviewMessage): void {
    const seqs = new Map<string, number>();
    for (const connection of this.connections) {
      if (!this.#isPreviewed(connection, preview.job_id)) continue;
      const { clientId } = connection;
      const seq = (clientId === null ? undefined : seqs.get(clientId)) ?? this.#nextSeq(connection);
      if (clientId !== null) seqs.set(clientId, seq);
      connection.send({ ...preview, seq });
    }
  }

  /** To all connections that watch all jobs. */
  sendToWatchers(message: ServerMessage): void {
    for (const connection of this.connections) if (connection.all) connection.send(message);
  }

  /** Sends again what this client id was sent after number `since`, in order. A number that was never given out means a new database: everything kept is sent. */
  replay(connection: Connection, since: number): void {
    const { clientId } = connection;
    if (clientId === null) return;
    const from = since > this.newestSeq(connection) ? 0 : since;
    const missed: (JobStatusMessage | JobProgressMessage)[] = this.#store.events.since(clientId, from);
    for (const latest of this.#latestProgress.values()) {
      const message = latest.get(clientId);
      if (message !== undefined && message.seq > from) missed.push(message);
    }
    missed.sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    for (const message of missed) connection.send(message);
  }

  newestSeq(connection: Connection): number {
    return connection.clientId === null ? connection.seq : this.#numbers.newest(connection.clientId);
  }

  /** After a rollback: what was read or numbered inside the transaction never happened. */
  forgetUncommitted(): void {
    this.#numbers.forget();
    this.#ofJobs.clear();
  }

  #address(numbered: NumberedEvent, job: StoredJob, reached: readonly Standing[]): void {
    const draft = draftOf(numbered.event);
    const isLeft = new Set<string>();
    // a job that ended long ago is not to be remembered again
    const subscriptions = reached.includes('over') ? this.#store.subscriptions.ofJob(job.jobId) : this.#ofJob(job.jobId);
    for (const { clientId, requestId, standing } of subscriptions) {
      if (reached.includes(standing)) numbered.subscribers.set(clientId, { requestId, seq: this.#keep(clientId, requestId, draft) });
      else if (standing === 'cancelled') isLeft.add(clientId);
    }
    for (const clientId of this.connections.watchingClients()) {
      if (!numbered.subscribers.has(clientId) && !isLeft.has(clientId)) numbered.watchers.set(clientId, this.#numbers.next(clientId));
    }
  }

  #send(numbered: NumberedEvent, job: StoredJob, reached: readonly Standing[], times: StatusTimes): void {
    const draft = { ...draftOf(numbered.event), ...times };
    for (const [clientId, { requestId, seq }] of numbered.subscribers) this.#sendToClient(clientId, withNumber(draft, requestId, seq));
    for (const connection of this.connections.withoutClientId()) {
      if (receives(connection, job.jobId, reached)) connection.send(withNumber(draft, connection.subscriptions.get(job.jobId)?.requestId, ++connection.seq));
    }
    for (const [clientId, seq] of numbered.watchers) this.#sendToWatcher(clientId, withNumber(draft, undefined, seq));
  }

  #end(jobId: string): void {
    this.#store.subscriptions.end(jobId);
    this.#ofJobs.delete(jobId);
  }

  #forgetEnded(jobId: string): void {
    this.#latestProgress.delete(jobId);
    for (const { subscriptions } of this.connections.withoutClientId()) {
      const own = subscriptions.get(jobId);
      if (own?.standing === 'live') own.standing = 'over';
    }
  }

  #isPreviewed(connection: Connection, jobId: string): boolean {
    if (!connection.previews) return false;
    const standing = this.of(connection, jobId)?.standing;
    return standing === 'live' || (connection.all && standing !== 'cancelled');
  }

  #ofJob(jobId: string): Subscription[] {
    let subscriptions = this.#ofJobs.get(jobId);
    if (subscriptions === undefined) {
      subscriptions = this.#store.subscriptions.ofJob(jobId);
      this.#ofJobs.set(jobId, subscriptions);
    }
    return subscriptions;
  }

  #keep(clientId: string, requestId: RequestId, draft: StatusDraft): number {
    const seq = this.#numbers.next(clientId);
    this.#store.events.insert(clientId, seq, withNumber(draft, requestId, seq));
    const unpruned = (this.#unpruned.get(clientId) ?? 0) + 1;
    if (this.#unpruned.size > CLIENTS_COUNTED) this.#unpruned.clear();
    if (unpruned < STATUSES_BETWEEN_PRUNING) this.#unpruned.set(clientId, unpruned);
    else {
      this.#store.events.prune(clientId, this.#replayedStatuses);
      this.#unpruned.delete(clientId);
    }
    return seq;
  }

  #sendToClient(clientId: string, message: ServerMessage): void {
    for (const connection of this.connections.ofClient(clientId)) connection.send(message);
  }

  /** One number a client id, also where it has several connections. */
  #sendToWatcher(clientId: string, message: ServerMessage): void {
    for (const connection of this.connections.ofClient(clientId)) if (connection.all) connection.send(message);
  }

  #nextSeq(connection: Connection): number {
    return connection.clientId === null ? ++connection.seq : this.#numbers.next(connection.clientId);
  }
}

/** Whether a connection without a client id hears of the job: by its subscription, or by watching all jobs. */
function receives({ subscriptions, all }: Connection, jobId: string, reached: readonly Standing[]): boolean {
  const standing = subscriptions.get(jobId)?.standing;
  return standing === undefined ? all : reached.includes(standing);
}

/** The status that an event is about. */
function draftOf(event: DomainEvent): StatusDraft {
  switch (event.type) {
    case 'job_changed':
      return statusDraft(event.job);
    case 'bin_changed':
      return { ...statusDraft(event.job), deleted: event.job.deletedAtMs !== null };
    case 'client_left':
      return statusDraft({ ...event.job, state: { status: 'cancelled' } });
    default:
      throw new Error(`${event.type} is not about a status`);
  }
}

function withNumber(draft: StatusDraft, requestId: RequestId, seq: number): JobStatusMessage {
  return { ...draft, request_id: requestId, seq };
}
