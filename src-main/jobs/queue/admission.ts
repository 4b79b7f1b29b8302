import type { Checkpoint, ModelRegistry } from '#main/models/checkpoint.ts';
import { isEnd, type ModelType, transition } from '#shared/domain/job.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { CreateJob, RequestId } from '#shared/protocol/messages.ts';
import { statusDraft } from '../events/status-message.ts';
import type { Listener, Subscriptions } from '../events/subscriptions.ts';
import { imageFileName } from '../images/file-name.ts';
import { type ImageFolders, imageBytes } from '../images/image-folders.ts';
import type { Retention } from '../images/retention.ts';
import type { Clock, JobsLimits } from '../jobs.ts';
import type { JobProcessor } from '../processor/job-processor.ts';
import type { ModelName, NewJob, Store, StoredJob } from '../store/store.ts';
import type { AfterCommit, UnitOfWork } from '../store/unit-of-work.ts';
import { jobIdOf } from './job-id.ts';

/** How long a look at the disk's free space counts. */
const FREE_SPACE_MS = 1000;
/** What `queue_full` tells a client to wait before anything was measured. */
const RETRY_AFTER_MS = 10_000;

interface Parts {
  store: Store;
  subscriptions: Subscriptions;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  retention: Retention;
  registry: ModelRegistry;
  processor: JobProcessor;
  clock: Clock;
  limits: JobsLimits;
}

/** A `create_job` with everything looked up that takes time. */
interface Request {
  listener: Listener;
  requestId: RequestId;
  job: Pick<StoredJob, 'jobId' | 'params' | 'checkpoint' | 'upscaler'>;
  /** Why a new run has no room; asking for what is there or under way is answered all the same. */
  noRoom: AppError | null;
}

/** Tells a client why its request was refused. */
export type Refuse = (reason: unknown) => void;

/** A request whose turn among its client's has come, or why it could not even be looked up. */
interface QueuedRequest {
  request: Request | { reason: unknown };
  refuse: Refuse;
  answered(): void;
}

/** Whether a request was taken (the client is answered after the commit) or why not. */
type Decision = { taken: true } | { reason: unknown };

const TAKEN: Decision = { taken: true };

/** Decides what a `create_job` means: a new job, one under way to join, an answer that is there already, or a fresh start. */
export class Admission {
  readonly #parts: Parts;
  #batch: QueuedRequest[] = [];
  /** Of each client, when its newest request stands in a batch: the next one follows then. */
  readonly #standing = new WeakMap<Listener, Promise<{ answered: Promise<void> }>>();
  /** Looks at the models that are under way. Each reads dozens of files, so it serves everybody who asks meanwhile. */
  readonly #looks = new Map<ModelType, Promise<{ checkpoint: ModelName; upscaler: ModelName }>>();
  #freeSpace: { dir: string; atMs: number; bytes: Promise<number> } | null = null;
  #arrivals: number;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#arrivals = parts.store.lastArrival();
  }

  /**
   * See `JobsConnection.create`. Requests of one turn of the event loop share one commit, since each commit waits for the disk; those of one client are
   * answered in the order in which they came, refusals included.
   */
  async create(listener: Listener, message: CreateJob, refuse: Refuse): Promise<void> {
    const lookedUp = this.#lookUp(listener, message).catch((reason: unknown) => ({ reason }));
    const standing = Promise.all([lookedUp, this.#standing.get(listener)]).then(([request]) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#batch.push({ request, refuse, answered: resolve });
      if (this.#batch.length === 1) setImmediate(() => this.#decideBatch());
      return { answered: promise };
    });
    this.#standing.set(listener, standing);
    await (await standing).answered;
  }

  close(): void {
    this.#closed = true;
  }

  async #lookUp(listener: Listener, { params, request_id: requestId, task_type: taskType }: CreateJob): Promise<Request> {
    this.#assertOpen();
    const [{ checkpoint, upscaler }, noRoom] = await Promise.all([
      this.#modelsFor(params.model_type),
      this.#reasonForNoRoom(imageBytes(params.width, params.height)),
    ]);
    const jobId = jobIdOf({ taskType, params, checkpointIdentity: checkpoint.identity, upscalerIdentity: upscaler.identity });
    return { listener, requestId, job: { jobId, params, checkpoint, upscaler }, noRoom };
  }

  #modelsFor(modelType: ModelType): Promise<{ checkpoint: ModelName; upscaler: ModelName }> {
    const { registry } = this.#parts;
    const underWay = this.#looks.get(modelType);
    if (underWay !== undefined) return underWay;
    const look = Promise.all([registry.checkpointFor(modelType), registry.upscaler()])
      .then(([checkpoint, upscaler]) => ({ checkpoint: nameOf(checkpoint), upscaler: nameOf(upscaler) }))
      .finally(() => this.#looks.delete(modelType));
    this.#looks.set(modelType, look);
    return look;
  }

  #decideBatch(): void {
    const batch = this.#batch;
    this.#batch = [];
    const { unitOfWork, processor } = this.#parts;
    try {
      this.#assertOpen();
      unitOfWork.commit((afterCommit) => {
        const accepted: StoredJob[] = [];
        // all of them stand in the queue before the first one is told its place
        afterCommit(() => {
          for (const job of accepted) processor.enqueue(job);
        });
        for (const { request, refuse } of batch) {
          const decision = 'reason' in request ? request : this.#decide(request, accepted, afterCommit);
          if ('reason' in decision) afterCommit(() => refuse(decision.reason));
        }
      });
    } catch (thrown) {
      for (const { refuse } of batch) refuse(thrown);
    }
    for (const { answered } of batch) answered();
    processor.startWaiting();
  }

  #decide(request: Request, accepted: StoredJob[], afterCommit: AfterCommit): Decision {
    const { store, folders } = this.#parts;
    const known = store.job(request.job.jobId);
    if (known === null) return this.#refusal(request, accepted) ?? this.#accept(request, accepted, afterCommit);
    if (!isEnd(known.state)) return this.#join(request, known, afterCommit);
    if (known.deletedAtMs !== null) folders.moveFromBin(known.filename);
    if (known.state.status === 'completed' && folders.hasBoth(known.filename)) return this.#answerFromCache(request, known, afterCommit);
    const refusal = this.#refusal(request, accepted);
    if (refusal === null) return this.#startAnew(request, known, accepted, afterCommit);
    if (known.deletedAtMs !== null) folders.moveToBin(known.filename);
    return refusal;
  }

  #accept(request: Request, accepted: StoredJob[], afterCommit: AfterCommit): Decision {
    const { store, folders, clock } = this.#parts;
    const createdAtMs = clock.now();
    const { jobId, params } = request.job;
    const filename = imageFileName(createdAtMs, params.prompt, jobId, (name) => store.hasFilename(name) || folders.has(name));
    const job: NewJob = { ...request.job, filename, state: { status: 'pending' }, owner: request.listener.owner, arrival: ++this.#arrivals, createdAtMs };
    store.insertJob(job);
    return this.#enqueue(request, accepted, afterCommit);
  }

  #startAnew(request: Request, known: StoredJob, accepted: StoredJob[], afterCommit: AfterCommit): Decision {
    const { store, clock } = this.#parts;
    const state = transition(known.state, { type: 'requested_again' });
    if (state === null) throw new Error(`A job in ${known.state.status} cannot be requested again`);
    store.requestAgain(known.jobId, state, request.listener.owner, ++this.#arrivals, clock.now());
    return this.#enqueue(request, accepted, afterCommit);
  }

  #enqueue({ listener, requestId, job: { jobId } }: Request, accepted: StoredJob[], afterCommit: AfterCommit): Decision {
    const { store, subscriptions, processor } = this.#parts;
    const job = store.job(jobId);
    if (job === null) throw new Error(`Job ${jobId} is not in the store that it was just written to`);
    afterCommit(subscriptions.setInterest(listener, jobId, requestId, 'live'));
    accepted.push(job);
    afterCommit(subscriptions.addressStatus(statusDraft(job), 'interested', () => processor.times(jobId)));
    return TAKEN;
  }

  #join({ listener, requestId }: Request, known: StoredJob, afterCommit: AfterCommit): Decision {
    const { subscriptions, processor } = this.#parts;
    afterCommit(subscriptions.setInterest(listener, known.jobId, requestId, 'live'));
    afterCommit(subscriptions.addressAnswer(listener, () => ({ ...statusDraft(known), ...processor.times(known.jobId) }), requestId));
    return TAKEN;
  }

  #answerFromCache({ listener, requestId }: Request, known: StoredJob, afterCommit: AfterCommit): Decision {
    const { subscriptions, store } = this.#parts;
    if (known.deletedAtMs !== null) store.setDeleted(known.jobId, null);
    afterCommit(subscriptions.setInterest(listener, known.jobId, requestId, 'over'));
    afterCommit(subscriptions.addressAnswer(listener, () => ({ ...statusDraft(known), cached: true }), requestId));
    return TAKEN;
  }

  #refusal({ noRoom }: Request, accepted: readonly StoredJob[]): { reason: AppError } | null {
    const { limits, processor } = this.#parts;
    if (noRoom !== null) return { reason: noRoom };
    const waiting = processor.waitingCount + accepted.length;
    if (waiting < limits.waiting) return null;
    const retryAfterMs = Math.ceil(processor.msUntilNextStart() ?? RETRY_AFTER_MS);
    const message = `${waiting} jobs are waiting, and no more than ${limits.waiting} may. Send the job again in ${Math.ceil(retryAfterMs / 1000)} s.`;
    return { reason: new AppError('queue_full', message, { limit: limits.waiting, retryAfterMs }) };
  }

  async #reasonForNoRoom(pictureBytesAtMost: number): Promise<AppError | null> {
    const { folders, retention, clock, limits } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#freeSpace?.dir !== folders.dir || nowMs - this.#freeSpace.atMs >= FREE_SPACE_MS) {
      this.#freeSpace = { dir: folders.dir, atMs: nowMs, bytes: folders.freeBytes() };
    }
    try {
      const freeBytes = await this.#freeSpace.bytes;
      const neededBytes = pictureBytesAtMost + limits.reserveBytes;
      if (freeBytes >= neededBytes) return retention.reasonForNoRoom(pictureBytesAtMost);
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

function nameOf({ name, fingerprint }: Pick<Checkpoint, 'name' | 'fingerprint'>): ModelName {
  return { name, identity: fingerprint };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
