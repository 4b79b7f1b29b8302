import { randomUUID } from 'node:crypto';
import type { JobPreviewMessage, JobProgressMessage, JobStatusMessage, RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import type { Stand, Store, Subscription } from '../store/store.ts';

/** A `job_status` before it is addressed to somebody. */
export type StatusDraft = Omit<JobStatusMessage, 'request_id' | 'seq'>;
/** What holds only at the moment of sending: left out of what is kept for `since`. */
export type StatusTimes = Pick<JobStatusMessage, 'position' | 'wait_ms' | 'eta_ms'>;

/** An open connection as the subscriptions sees it. */
export interface Listener {
  readonly clientId: string | null;
  /** `client:` and the id, or `connection:` and a number of its own: who takes turns with whom. */
  readonly owner: string;
  readonly send: (message: ServerMessage) => void;
  /** Interests of a connection without a client id; those of client ids are in the store. */
  readonly interests: Map<string, { requestId: RequestId; stand: Stand }>;
  /** Number of the newest message to a connection without a client id. */
  seq: number;
  all: boolean;
  previews: boolean;
}

/** So many numbers are reserved at once, so that progress need not be written to the disk; after a restart the numbers go on behind them. */
const RESERVED_AT_ONCE = 1000;
const STATUSES_BETWEEN_PRUNING = 100;
/** More than may be connected. The numbers of one that is forgotten go on behind what was reserved, as after a restart. */
const CLIENTS_REMEMBERED = 20_000;

/**
 * Who hears of which job, with which `request_id` and which `seq`. Statuses are kept per client id in the store, so that `since` can send them again;
 * of progress only the latest of each running job is kept, in memory.
 */
export class Subscriptions {
  readonly #store: Store;
  readonly #replayedStatuses: number;
  readonly #clients = new Map<string, Set<Listener>>();
  readonly #listeners = new Set<Listener>();
  /** Of each client id: the newest number, up to where they are reserved, and statuses kept since the last pruning. */
  readonly #seqs = new Map<string, { last: number; reserved: number; unpruned: number }>();
  readonly #interests = new Map<string, Subscription[]>();
  readonly #latestProgress = new Map<string, Map<string, JobProgressMessage & { seq: number }>>();

  constructor(store: Store, replayedStatuses: number) {
    this.#store = store;
    this.#replayedStatuses = replayedStatuses;
  }

  open(clientId: string | null, send: (message: ServerMessage) => void): Listener {
    const owner = clientId === null ? `connection:${randomUUID()}` : `client:${clientId}`;
    const listener: Listener = { clientId, owner, send, interests: new Map(), seq: 0, all: false, previews: false };
    this.#listeners.add(listener);
    if (clientId !== null) {
      const connections = this.#clients.get(clientId);
      if (connections === undefined) this.#clients.set(clientId, new Set([listener]));
      else connections.add(listener);
    }
    return listener;
  }

  close(listener: Listener): void {
    this.#listeners.delete(listener);
    if (listener.clientId === null) return;
    const connections = this.#clients.get(listener.clientId);
    connections?.delete(listener);
    if (connections?.size === 0) this.#clients.delete(listener.clientId);
  }

  interestOf(listener: Listener, jobId: string): { requestId: RequestId; stand: Stand } | null {
    if (listener.clientId === null) return listener.interests.get(jobId) ?? null;
    return this.#store.interest(listener.clientId, jobId);
  }

  /** Inside a transaction; the returned effect belongs after its commit. */
  setInterest(listener: Listener, jobId: string, requestId: RequestId, stand: Stand): () => void {
    if (listener.clientId === null) return () => listener.interests.set(jobId, { requestId, stand });
    this.#store.setInterest(jobId, { clientId: listener.clientId, requestId, stand });
    this.#interests.delete(jobId);
    return () => {};
  }

  /** How many others than `listener` (and the connections of the same client id) keep the job alive. */
  othersInterested(listener: Listener, jobId: string): number {
    let others = this.#interestsIn(jobId).filter(({ clientId, stand }) => stand === 'live' && clientId !== listener.clientId).length;
    for (const other of this.#listeners) {
      if (other !== listener && other.clientId === null && other.interests.get(jobId)?.stand === 'live') others++;
    }
    return others;
  }

  /**
   * Inside a transaction: keeps the status for the clients concerned and returns the effect that sends it. It reaches who has a `live` interest
   * (`interested`), or who asked at any time and did not give up (`asked`), and whoever watches all jobs.
   */
  addressStatus(draft: StatusDraft, to: 'interested' | 'asked' = 'interested', times?: () => StatusTimes): () => void {
    const { job_id: jobId } = draft;
    const reached = (stand: Stand) => stand === 'live' || (to === 'asked' && stand === 'over');
    const addressed = new Map<string, { requestId: RequestId; seq: number }>();
    const gaveUp = new Set<string>();
    // a job that ended long ago is not to be kept in mind again
    const interests = to === 'asked' ? this.#store.interests(jobId) : this.#interestsIn(jobId);
    for (const { clientId, requestId, stand } of interests) {
      if (reached(stand)) addressed.set(clientId, { requestId, seq: this.#keepStatus(clientId, requestId, draft) });
      else if (stand === 'cancelled') gaveUp.add(clientId);
    }
    const watching = this.#watchersBut((clientId) => addressed.has(clientId) || gaveUp.has(clientId)).map((clientId) => ({
      clientId,
      seq: this.#nextSeq(clientId),
    }));
    return () => {
      const message: StatusDraft = { ...draft, ...times?.() };
      for (const [clientId, { requestId, seq }] of addressed) this.#sendToClient(clientId, numbered(message, requestId, seq));
      for (const listener of this.#listeners) {
        if (listener.clientId !== null) continue;
        const interest = listener.interests.get(jobId);
        if (interest === undefined ? listener.all : reached(interest.stand)) listener.send(numbered(message, interest?.requestId, ++listener.seq));
      }
      for (const { clientId, seq } of watching) this.#sendToWatcher(clientId, numbered(message, undefined, seq));
    };
  }

  /** Inside a transaction, after the status of an end state was addressed; the returned effect belongs after that status. */
  endInterests(jobId: string): () => void {
    this.#store.endInterests(jobId);
    this.#interests.delete(jobId);
    return () => {
      this.#latestProgress.delete(jobId);
      for (const { clientId, interests } of this.#listeners) {
        const interest = clientId === null ? interests.get(jobId) : undefined;
        if (interest?.stand === 'live') interest.stand = 'over';
      }
    };
  }

  /** Inside a transaction: a status for one client alone, kept as the others are. `times` as in `addressStatus`. */
  addressOne(listener: Listener, draft: StatusDraft, requestId: RequestId): () => void {
    if (listener.clientId === null) return () => listener.send(numbered(draft, requestId, ++listener.seq));
    const { clientId } = listener;
    const seq = this.#keepStatus(clientId, requestId, draft);
    return () => this.#sendToClient(clientId, numbered(draft, requestId, seq));
  }

  /**
   * Inside a transaction: the returned effect answers one message, to that connection only; it is not kept. It has its number from now on, as what is
   * kept has, so that numbers grow in the order of sending.
   */
  addressAnswer(listener: Listener, draft: () => StatusDraft, requestId: RequestId): () => void {
    if (listener.clientId === null) return () => this.answer(listener, draft(), requestId);
    const seq = this.#nextSeq(listener.clientId);
    return () => listener.send(numbered(draft(), requestId, seq));
  }

  /** Answers one message; goes to that connection only and is not kept. */
  answer(listener: Listener, draft: StatusDraft, requestId: RequestId): void {
    listener.send(numbered(draft, requestId, this.#nextSeqOf(listener)));
  }

  sendProgress(jobId: string, progress: JobProgressMessage['progress']): void {
    const latest = new Map<string, JobProgressMessage & { seq: number }>();
    const gaveUp = new Set<string>();
    const message = (seq: number) => ({ type: 'job_progress' as const, job_id: jobId, progress, seq });
    for (const { clientId, stand } of this.#interestsIn(jobId)) {
      if (stand === 'cancelled') gaveUp.add(clientId);
      if (stand !== 'live') continue;
      const numberedMessage = message(this.#nextSeq(clientId));
      latest.set(clientId, numberedMessage);
      this.#sendToClient(clientId, numberedMessage);
    }
    for (const listener of this.#listeners) {
      if (listener.clientId !== null) continue;
      const stand = listener.interests.get(jobId)?.stand;
      if (stand === undefined ? listener.all : stand === 'live') listener.send(message(++listener.seq));
    }
    for (const clientId of this.#watchersBut((each) => latest.has(each) || gaveUp.has(each))) this.#sendToWatcher(clientId, message(this.#nextSeq(clientId)));
    this.#latestProgress.set(jobId, latest);
  }

  /** To whoever watches all jobs. */
  tellWatchers(message: ServerMessage): void {
    for (const listener of this.#listeners) if (listener.all) listener.send(message);
  }

  connectionsOf(clientId: string): number {
    return this.#clients.get(clientId)?.size ?? 0;
  }

  get anonymousConnections(): number {
    let count = 0;
    for (const { clientId } of this.#listeners) if (clientId === null) count++;
    return count;
  }

  wantsPreviews(jobId: string): boolean {
    for (const listener of this.#listeners) if (this.#isPreviewed(listener, jobId)) return true;
    return false;
  }

  /** One number a client id, also where it has several connections. Not kept for `since`. */
  sendPreview(preview: JobPreviewMessage): void {
    const seqs = new Map<string, number>();
    for (const listener of this.#listeners) {
      if (!this.#isPreviewed(listener, preview.job_id)) continue;
      const { clientId } = listener;
      const seq = (clientId === null ? undefined : seqs.get(clientId)) ?? this.#nextSeqOf(listener);
      if (clientId !== null) seqs.set(clientId, seq);
      listener.send({ ...preview, seq });
    }
  }

  /** What this client id was told after number `since`, in order. A number that was never handed out means a new database: everything kept is sent. */
  replay(listener: Listener, since: number): void {
    const { clientId } = listener;
    if (clientId === null) return;
    const from = since > this.newestSeq(listener) ? 0 : since;
    const missed: { seq?: number | undefined; message: ServerMessage }[] = this.#store
      .eventsSince(clientId, from)
      .map((message) => ({ seq: message.seq, message }));
    for (const latest of this.#latestProgress.values()) {
      const message = latest.get(clientId);
      if (message !== undefined && message.seq > from) missed.push({ seq: message.seq, message });
    }
    missed.sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    for (const { message } of missed) listener.send(message);
  }

  newestSeq(listener: Listener): number {
    return listener.clientId === null ? listener.seq : this.#seqOf(listener.clientId).last;
  }

  /** After a transaction that was rolled back: what was read or counted inside it never happened. */
  forgetUncommitted(): void {
    this.#seqs.clear();
    this.#interests.clear();
  }

  #isPreviewed(listener: Listener, jobId: string): boolean {
    if (!listener.previews) return false;
    const stand = this.interestOf(listener, jobId)?.stand;
    return stand === 'live' || (listener.all && stand !== 'cancelled');
  }

  #interestsIn(jobId: string): Subscription[] {
    let interests = this.#interests.get(jobId);
    if (interests === undefined) {
      interests = this.#store.interests(jobId);
      this.#interests.set(jobId, interests);
    }
    return interests;
  }

  #keepStatus(clientId: string, requestId: RequestId, draft: StatusDraft): number {
    const seq = this.#nextSeq(clientId);
    this.#store.insertEvent(clientId, seq, numbered(draft, requestId, seq));
    const client = this.#seqOf(clientId);
    client.unpruned = (client.unpruned + 1) % STATUSES_BETWEEN_PRUNING;
    if (client.unpruned === 0) this.#store.pruneEvents(clientId, this.#replayedStatuses);
    return seq;
  }

  #sendToClient(clientId: string, message: ServerMessage): void {
    for (const listener of this.#clients.get(clientId) ?? []) listener.send(message);
  }

  /** Client ids that watch all jobs. */
  #watchersBut(isLeftOut: (clientId: string) => boolean): string[] {
    const watchers: string[] = [];
    for (const [clientId, connections] of this.#clients) {
      if (!isLeftOut(clientId) && [...connections].some((listener) => listener.all)) watchers.push(clientId);
    }
    return watchers;
  }

  /** One number a client id, also where it has several connections. */
  #sendToWatcher(clientId: string, message: ServerMessage): void {
    for (const listener of this.#clients.get(clientId) ?? []) if (listener.all) listener.send(message);
  }

  #nextSeqOf(listener: Listener): number {
    return listener.clientId === null ? ++listener.seq : this.#nextSeq(listener.clientId);
  }

  #nextSeq(clientId: string): number {
    const seq = this.#seqOf(clientId);
    if (seq.last >= seq.reserved) {
      seq.reserved = seq.last + RESERVED_AT_ONCE;
      this.#store.reserveSeq(clientId, seq.reserved);
    }
    return ++seq.last;
  }

  #seqOf(clientId: string): { last: number; reserved: number; unpruned: number } {
    let seq = this.#seqs.get(clientId);
    if (seq === undefined) {
      const reserved = this.#store.reservedSeq(clientId);
      seq = { last: reserved, reserved, unpruned: 0 };
      this.#seqs.set(clientId, seq);
      const [oldest = clientId] = this.#seqs.keys();
      if (this.#seqs.size > CLIENTS_REMEMBERED) this.#seqs.delete(oldest);
    }
    return seq;
  }
}

function numbered(draft: StatusDraft, requestId: RequestId, seq: number): JobStatusMessage {
  return { ...draft, request_id: requestId, seq };
}
