import type { Clock } from '#main/lib/clock.ts';
import type { Checkpoint, Upscaler } from '#main/models/checkpoint.ts';
import { isEnd, type JobWork, transition } from '#shared/domain/job.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { CreateJob, RequestId } from '#shared/protocol/messages.ts';
import type { Connection } from '../events/connections.ts';
import type { DomainEvent } from '../events/domain-event.ts';
import type { Bin } from '../images/bin.ts';
import { imageFileName, upscaledFileName } from '../images/file-name.ts';
import { type ImageFolders, imageBytes } from '../images/image-folders.ts';
import type { Retention } from '../images/retention.ts';
import type { JobsLimits } from '../jobs.ts';
import type { JobProcessor } from '../processor/job-processor.ts';
import type { Store } from '../store/store.ts';
import type { ModelName, StoredJob } from '../store/stored-job.ts';
import type { UnitOfWork } from '../store/unit-of-work.ts';
import { jobIdOf } from './job-id.ts';
import { createWorkResolver, type ResolvedWork, type WorkSources } from './resolve-work.ts';

/** How long a look at the disk's free space counts. */
const FREE_SPACE_MS = 1000;
/** The `retry_after_ms` of `queue_full` before anything was measured. */
const RETRY_AFTER_MS = 10_000;

interface Parts extends WorkSources {
  store: Store;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  bin: Bin;
  retention: Retention;
  processor: JobProcessor;
  clock: Clock;
  limits: JobsLimits;
}

/** A `create_job` with everything that takes time looked up. */
interface Request {
  connection: Connection;
  requestId: RequestId;
  job: JobWork & Pick<StoredJob, 'jobId' | 'checkpoint' | 'upscaler'>;
  /** Why a new run has no room; a job that is there already is answered all the same. */
  noRoom: AppError | null;
}

/** Sends a client the reason why its request was refused. */
export type Refuse = (reason: unknown) => void;

interface QueuedRequest {
  /** Or why the request could not be looked up. */
  request: Request | { reason: unknown };
  refuse: Refuse;
  answered(): void;
}

/** Decides what a `create_job` means: a new job, an unfinished one to join, an existing result, or a new run of an ended job. */
export class Admission {
  readonly #parts: Parts;
  #batch: QueuedRequest[] = [];
  /** When the newest request of each connection is in a batch: its next one follows then. */
  readonly #queued = new WeakMap<Connection, Promise<{ answered: Promise<void> }>>();
  readonly #resolve: (message: CreateJob) => Promise<ResolvedWork>;
  #freeSpace: { dir: string; atMs: number; bytes: Promise<number> } | null = null;
  #arrivals: number;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#arrivals = parts.store.jobs.lastArrival();
    this.#resolve = createWorkResolver(parts);
  }

  /**
   * See `JobsConnection.create`. Requests of one turn of the event loop share a commit, since each commit waits for the disk; the requests of one client are
   * answered in their order, refusals included.
   */
  async create(connection: Connection, message: CreateJob, refuse: Refuse): Promise<void> {
    const lookedUp = this.#lookUp(connection, message).catch((reason: unknown) => ({ reason }));
    const queued = Promise.all([lookedUp, this.#queued.get(connection)]).then(([request]) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#batch.push({ request, refuse, answered: resolve });
      if (this.#batch.length === 1) setImmediate(() => void this.#decideBatch());
      return { answered: promise };
    });
    this.#queued.set(connection, queued);
    await (await queued).answered;
  }

  close(): void {
    this.#closed = true;
  }

  async #lookUp(connection: Connection, message: CreateJob): Promise<Request> {
    const { store, bin, processor } = this.#parts;
    this.#assertOpen();
    const { checkpoint, upscaler, ...work } = await this.#resolve(message);
    const noRoom = await this.#reasonForNoRoom(imageBytes(work));
    processor.noteModels(checkpoint, upscaler);
    const names = { checkpoint: modelName(checkpoint), upscaler: modelName(upscaler) };
    const jobId = jobIdOf({ ...work, ...names });
    await bin.settled(jobId);
    const known = store.jobs.byId(jobId);
    if (known !== null && known.deletedAtMs !== null && known.state.status === 'completed' && !known.isForeign) await bin.restore(jobId, { asNewest: true });
    return { connection, requestId: message.request_id, job: { ...work, jobId, ...names }, noRoom };
  }

  /** Never rejects. */
  async #decideBatch(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    const { unitOfWork, processor } = this.#parts;
    try {
      await unitOfWork.commitSoon((events) => {
        this.#assertOpen();
        let accepted = 0;
        for (const { request, refuse } of batch) {
          const reason = 'reason' in request ? request.reason : this.#decide(request, accepted, events);
          if (reason === 'accepted') accepted++;
          else if (reason !== null) events.push({ type: 'refused', refuse, reason });
        }
      });
    } catch (thrown) {
      for (const { refuse } of batch) refuse(thrown);
    }
    for (const { answered } of batch) answered();
    processor.startWaiting();
  }

  /** Why the request is refused, `accepted` for a new run, or null where the answer needs none. */
  #decide(request: Request, accepted: number, events: DomainEvent[]): AppError | 'accepted' | null {
    const { store, folders } = this.#parts;
    const { connection, requestId, job } = request;
    const { jobId } = job;
    const known = store.jobs.byId(jobId);
    if (known?.isForeign === true) return appError('job_of_other_version', {});
    if (known !== null && !isEnd(known.state)) {
      events.push({ type: 'subscription_changed', connection, jobId, requestId, standing: 'live' });
      events.push({ type: 'answered', connection, requestId, job: known, cached: false });
      return null;
    }
    if (known !== null && known.state.status === 'completed' && folders.hasAll(known)) {
      store.jobs.keepLonger(jobId);
      events.push({ type: 'subscription_changed', connection, jobId, requestId, standing: 'over' });
      events.push({ type: 'answered', connection, requestId, job: known, cached: true });
      return null;
    }
    const refusal = this.#refusal(request, accepted);
    if (refusal !== null) return refusal;
    const pending = known === null ? this.#insert(request) : this.#runAgain(known, request, events);
    events.push({ type: 'subscription_changed', connection, jobId, requestId, standing: 'live' });
    events.push({ type: 'job_changed', job: pending });
    return 'accepted';
  }

  #insert({ connection, job }: Request): StoredJob {
    const createdAtMs = this.#parts.clock.now();
    const filename = this.#newFilename(createdAtMs, job);
    return this.#parts.store.jobs.insert({
      ...job,
      filename,
      state: { status: 'pending' },
      requester: connection.requester,
      arrival: ++this.#arrivals,
      createdAtMs,
    });
  }

  #runAgain(known: StoredJob, { connection, job }: Request, events: DomainEvent[]): StoredJob {
    const { store, folders, clock } = this.#parts;
    const state = transition(known.state, { type: 'requested_again' });
    if (state === null) throw new Error(`A job in ${known.state.status} cannot be requested again`);
    const createdAtMs = clock.now();
    // a file that is there already is written again under its name
    const isThere = folders.has(known.filename) || folders.has(upscaledFileName(known.filename));
    const filename = isThere ? known.filename : this.#newFilename(createdAtMs, job, known.filename);
    const pending = store.jobs.requestAgain(known.jobId, state, { requester: connection.requester, arrival: ++this.#arrivals, filename, createdAtMs });
    if (known.deletedAtMs !== null) events.push({ type: 'bin_changed', job: { ...known, deletedAtMs: null } });
    return pending;
  }

  /** `own` is a name that the job may keep. */
  #newFilename(createdAtMs: number, job: Request['job'], own?: string): string {
    const { store, folders } = this.#parts;
    const words = job.taskType === 'upscale' ? 'upscaled' : job.params.prompt;
    return imageFileName(createdAtMs, words, job.jobId, (name) => name !== own && (store.jobs.hasFilename(name) || folders.has(name)));
  }

  #refusal({ noRoom }: Request, accepted: number): AppError | null {
    const { limits, processor } = this.#parts;
    if (noRoom !== null) return noRoom;
    const waiting = processor.waitingCount + accepted;
    if (waiting < limits.waiting) return null;
    const retryAfterMs = Math.ceil(processor.msUntilNextStart() ?? RETRY_AFTER_MS);
    const message = `${waiting} jobs are waiting, and the limit is ${limits.waiting}. Send the job again in ${Math.ceil(retryAfterMs / 1000)} s.`;
    return new AppError('queue_full', message, { limit: limits.waiting, retryAfterMs });
  }

  async #reasonForNoRoom(imageBytesAtMost: number): Promise<AppError | null> {
    const { folders, retention, clock, limits } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#freeSpace?.dir !== folders.dir || nowMs - this.#freeSpace.atMs >= FREE_SPACE_MS) {
      this.#freeSpace = { dir: folders.dir, atMs: nowMs, bytes: folders.freeBytes() };
    }
    try {
      const freeBytes = await this.#freeSpace.bytes;
      const neededBytes = imageBytesAtMost + limits.reserveBytes;
      if (freeBytes >= neededBytes) return retention.reasonForNoRoom(imageBytesAtMost);
      const message =
        `The disk that holds ${folders.dir} has ${megabytes(freeBytes)} MB free; ${megabytes(neededBytes)} MB are needed for this job and a reserve. ` +
        'Free some space or empty the bin, then send the job again.';
      return new AppError('disk_full', message, { neededBytes, freeBytes });
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown;
      throw thrown;
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw appError('shutting_down', {});
  }
}

function modelName(model: Checkpoint | Upscaler | null): ModelName | null {
  return model === null ? null : { name: model.name, identity: model.fingerprint };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
