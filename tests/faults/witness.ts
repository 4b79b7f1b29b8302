import { WebSocket } from 'ws';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { type JobStatusMessage, type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';

type Status = JobStatusMessage['status'];

/** The statuses that may follow a status in one run of a job. After an end state only a new request may follow, as `pending`. Source: `docs/protocol.md`, States. */
const followers: Record<Status, readonly Status[]> = {
  pending: ['processing', 'failed', 'cancelled'],
  processing: ['generated', 'failed', 'cancelled'],
  generated: ['completed', 'failed'],
  completed: [],
  failed: [],
  cancelled: [],
};

const RANK: Record<Status, number> = { pending: 0, processing: 1, generated: 2, completed: 3, failed: 3, cancelled: 3 };

export type Wish = Pick<TextToImageParams, 'prompt' | 'steps'>;

/** One job as the server reported it to a client. */
interface Told {
  status: Status;
  filename: string | null;
  upscaledFilename: string | null;
  /** True from a new request for an ended job until its `pending`. */
  askedAgain: boolean;
}

export function isEnd(status: Status): boolean {
  return followers[status].length === 0;
}

/**
 * A client that records what the server acknowledged and checks every later message against it. It outlives any number of servers: on each
 * connection it sends the last `seq` that it received.
 */
export class Witness {
  readonly clientId: string;
  readonly told = new Map<string, Told>();
  /** Violations found so far. */
  readonly violations: string[] = [];
  statusesHeard = 0;
  replayed = 0;
  readonly #unanswered = new Map<string, Wish>();
  readonly #jobOf = new Map<string, string>();
  #lastSeq = 0;
  #requests = 0;
  #socket: WebSocket | null = null;
  #isCatchingUp = false;
  #waiters: (() => void)[] = [];

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  /** Connects, receives missed messages, repeats unanswered requests, and compares the server's list with its own. False if the server dies meanwhile. */
  async connect(url: string): Promise<boolean> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws?client_id=${this.clientId}&since=${this.#lastSeq}`);
    this.#socket = socket;
    this.#isCatchingUp = true;
    socket.on('error', () => {});
    socket.on('close', () => this.#wake());
    socket.on('message', (data) => {
      this.#hear(serverMessageSchema.parse(JSON.parse(data.toString())));
      this.#wake();
    });
    await new Promise<void>((resolve) => {
      socket.once('open', () => resolve());
      socket.once('close', () => resolve());
    });
    this.#send({ type: 'get_client_jobs' });
    if (!(await this.until(() => !this.#isCatchingUp))) return false;
    for (const [requestId, wish] of this.#unanswered) this.#sendWish(requestId, wish);
    return this.until(() => this.#unanswered.size === 0);
  }

  disconnect(): void {
    this.#socket?.terminate();
  }

  /** Requests an image; resolves with its id once acknowledged, with null if the server dies first. */
  async create(wish: Wish): Promise<string | null> {
    const requestId = `create ${this.#requests++}`;
    this.#unanswered.set(requestId, wish);
    this.#sendWish(requestId, wish);
    await this.until(() => !this.#unanswered.has(requestId));
    return this.#jobOf.get(requestId) ?? null;
  }

  /** Requests an ended job again. */
  async createAgain(jobId: string, wish: Wish): Promise<void> {
    const told = this.told.get(jobId);
    if (told !== undefined) told.askedAgain = true;
    await this.create(wish);
  }

  cancel(jobId: string): void {
    this.#send({ type: 'cancel_job', job_id: jobId, request_id: 'cancel' });
  }

  /** Resolves with true as soon as `isSo`, with false when the connection has ended first. */
  async until(isSo: () => boolean): Promise<boolean> {
    while (!isSo()) {
      if (this.#socket?.readyState !== WebSocket.OPEN) return false;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    return true;
  }

  statusOf(jobId: string): Status | null {
    return this.told.get(jobId)?.status ?? null;
  }

  hasEnded(jobId: string): boolean {
    const told = this.told.get(jobId);
    return told !== undefined && isEnd(told.status) && !told.askedAgain;
  }

  #sendWish(requestId: string, wish: Wish): void {
    this.#send({ type: 'create_job', task_type: 'text_to_image', request_id: requestId, params: { width: 256, height: 256, ...wish } });
  }

  #send(message: unknown): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #hear(message: ServerMessage): void {
    if (message.type === 'client_jobs') {
      this.#compare(message);
      this.#isCatchingUp = false;
    } else if (message.type === 'error') {
      // a job may have ended while its cancellation was on the way
      if (message.code !== 'not_cancellable') this.#violate(`error ${message.code}: ${message.message}`);
    } else if (message.type === 'job_status') {
      this.#number(message.seq);
      this.#hearStatus(message);
    } else if (message.type === 'job_progress') {
      this.#number(message.seq);
    }
  }

  #number(seq: number | undefined): void {
    if (seq === undefined || seq <= this.#lastSeq) this.#violate(`number ${seq} came after ${this.#lastSeq}: sent twice or out of order`);
    this.#lastSeq = Math.max(this.#lastSeq, seq ?? 0);
  }

  #hearStatus(message: JobStatusMessage): void {
    const { job_id: jobId, status, request_id: requestId, deleted } = message;
    // the answer to a cancellation repeats the subscription's message
    if (deleted !== undefined || requestId === 'cancel') return;
    this.statusesHeard++;
    if (this.#isCatchingUp) this.replayed++;
    const before = this.told.get(jobId);
    const isFirstAnswer = typeof requestId === 'string' && this.#unanswered.delete(requestId);
    if (isFirstAnswer) this.#jobOf.set(String(requestId), jobId);
    if (before === undefined || message.cached === true || (isFirstAnswer && status !== 'pending')) {
      // joined, or answered with the saved result
      if (before !== undefined && RANK[status] < RANK[before.status] && !before.askedAgain)
        this.#violate(`${short(jobId)} fell from ${before.status} to ${status}`);
    } else if (before.askedAgain ? status !== 'pending' : !followers[before.status].includes(status)) {
      this.#violate(`${short(jobId)} was ${before.status} and was then reported as ${status}`);
    }
    const { filename = null, upscaled_filename: upscaledFilename = null } = message.result ?? {};
    if (before?.filename != null && filename !== null && filename !== before.filename && !before.askedAgain) {
      this.#violate(`${short(jobId)} was reported as ${before.filename}, then as ${filename}`);
    }
    this.told.set(jobId, { status, filename, upscaledFilename, askedAgain: false });
  }

  /** Nothing acknowledged is lost, no end state has changed, nothing went back. */
  #compare({ jobs }: ServerMessage & { type: 'client_jobs' }): void {
    const listed = new Map(jobs.map((job) => [job.job_id, job]));
    for (const [jobId, { status, filename, askedAgain }] of this.told) {
      const job = listed.get(jobId);
      if (job === undefined) this.#violate(`${short(jobId)}, reported as ${status}, is lost`);
      else if (isEnd(status) ? job.status !== status && !askedAgain : RANK[job.status] < RANK[status]) {
        this.#violate(`${short(jobId)}, reported as ${status}, is listed as ${job.status}`);
      } else if (filename !== null && job.status === status && job.result?.filename !== filename) {
        this.#violate(`${short(jobId)}, reported as ${filename}, is listed as ${job.result?.filename}`);
      }
    }
  }

  #violate(what: string): void {
    this.violations.push(`${this.clientId}: ${what}`);
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

function short(jobId: string): string {
  return `job ${jobId.slice(0, 8)}`;
}
