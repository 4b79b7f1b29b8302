import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { isEnd, transition } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CreateJob, RequestId } from '#shared/protocol/messages.ts';
import type { Audience, Listener } from './audience.ts';
import { pictureFileName } from './file-name.ts';
import { jobIdOf } from './job-id.ts';
import type { Clock, JobsLimits } from './jobs.ts';
import type { AfterCommit, Journal } from './journal.ts';
import { type Outputs, pictureBytes } from './outputs.ts';
import type { Retention } from './retention.ts';
import type { Runner } from './runner.ts';
import { statusDraft } from './status-message.ts';
import type { ModelName, NewJob, Store, StoredJob } from './store.ts';

/** How long a look at the disk's free space counts. */
const FREE_SPACE_MS = 1000;
/** What `queue_full` tells a client to wait before anything was measured. */
const RETRY_AFTER_MS = 10_000;

interface Parts {
  store: Store;
  audience: Audience;
  journal: Journal;
  outputs: Outputs;
  retention: Retention;
  registry: ModelRegistry;
  runner: Runner;
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

interface QueuedRequest {
  request: Request;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Decides what a `create_job` means: a new job, one under way to join, an answer that is there already, or a fresh start. */
export class Admission {
  readonly #parts: Parts;
  #batch: QueuedRequest[] = [];
  #freeSpace: { atMs: number; bytes: Promise<number> } | null = null;
  #arrivals: number;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#arrivals = parts.store.lastArrival();
  }

  /** See `JobsConnection.create`. Requests of one turn of the event loop share one commit, since each commit waits for the disk. */
  async create(listener: Listener, message: CreateJob): Promise<void> {
    this.#assertOpen();
    const request = await this.#lookUp(listener, message);
    await new Promise<void>((resolve, reject) => {
      this.#batch.push({ request, resolve, reject });
      if (this.#batch.length === 1) setImmediate(() => this.#decideBatch());
    });
  }

  close(): void {
    this.#closed = true;
  }

  async #lookUp(listener: Listener, { params, request_id: requestId, task_type: taskType }: CreateJob): Promise<Request> {
    const { registry } = this.#parts;
    const [checkpoint, upscaler, noRoom] = await Promise.all([
      registry.checkpointFor(params.model_type),
      registry.upscaler(),
      this.#reasonForNoRoom(pictureBytes(params.width, params.height)),
    ]);
    const jobId = jobIdOf({ taskType, params, checkpointIdentity: checkpoint.identity, upscalerIdentity: upscaler.identity });
    return { listener, requestId, job: { jobId, params, checkpoint: nameOf(checkpoint), upscaler: nameOf(upscaler) }, noRoom };
  }

  #decideBatch(): void {
    const batch = this.#batch;
    this.#batch = [];
    const { journal, runner } = this.#parts;
    let refusals: (AppError | null)[];
    try {
      this.#assertOpen();
      let waiting = runner.waitingCount;
      refusals = journal.commit((afterCommit) =>
        batch.map(({ request }) => {
          const decision = this.#decide(request, waiting, afterCommit);
          if (decision === 'enqueued') waiting++;
          return decision instanceof AppError ? decision : null;
        }),
      );
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown);
      return;
    }
    for (const [index, { resolve, reject }] of batch.entries()) {
      const refusal = refusals[index] ?? null;
      if (refusal === null) resolve();
      else reject(refusal);
    }
    runner.startWaiting();
  }

  #decide(request: Request, waiting: number, afterCommit: AfterCommit): 'enqueued' | 'answered' | AppError {
    const { store, outputs } = this.#parts;
    const known = store.job(request.job.jobId);
    if (known === null) return this.#refusal(request, waiting) ?? this.#accept(request, afterCommit);
    if (!isEnd(known.state)) return this.#join(request, known, afterCommit);
    if (known.deletedAtMs !== null) outputs.moveFromBin(known.filename);
    if (known.state.status === 'completed' && outputs.hasBoth(known.filename)) return this.#answerFromCache(request, known, afterCommit);
    const refusal = this.#refusal(request, waiting);
    if (refusal === null) return this.#startAnew(request, known, afterCommit);
    if (known.deletedAtMs !== null) outputs.moveToBin(known.filename);
    return refusal;
  }

  #accept(request: Request, afterCommit: AfterCommit): 'enqueued' {
    const { store, outputs, clock } = this.#parts;
    const createdAtMs = clock.now();
    const { jobId, params } = request.job;
    const filename = pictureFileName(createdAtMs, params.prompt, jobId, (name) => store.hasFilename(name) || outputs.has(name));
    const job: NewJob = { ...request.job, filename, state: { status: 'pending' }, owner: request.listener.owner, arrival: ++this.#arrivals, createdAtMs };
    store.insertJob(job);
    return this.#enqueue(request, afterCommit);
  }

  #startAnew(request: Request, known: StoredJob, afterCommit: AfterCommit): 'enqueued' {
    const { store, clock } = this.#parts;
    const state = transition(known.state, { type: 'requested_again' });
    if (state === null) throw new Error(`A job in ${known.state.status} cannot be requested again`);
    store.requestAgain(known.jobId, state, request.listener.owner, ++this.#arrivals, clock.now());
    return this.#enqueue(request, afterCommit);
  }

  #enqueue({ listener, requestId, job: { jobId } }: Request, afterCommit: AfterCommit): 'enqueued' {
    const { store, audience, runner } = this.#parts;
    const job = store.job(jobId);
    if (job === null) throw new Error(`Job ${jobId} is not in the store that it was just written to`);
    afterCommit(audience.setInterest(listener, jobId, requestId, 'live'));
    afterCommit(() => runner.enqueue(job));
    afterCommit(audience.addressStatus(statusDraft(job), 'interested', () => runner.times(jobId)));
    return 'enqueued';
  }

  #join({ listener, requestId }: Request, known: StoredJob, afterCommit: AfterCommit): 'answered' {
    const { audience, runner } = this.#parts;
    afterCommit(audience.setInterest(listener, known.jobId, requestId, 'live'));
    afterCommit(() => audience.answer(listener, { ...statusDraft(known), ...runner.times(known.jobId) }, requestId));
    return 'answered';
  }

  #answerFromCache({ listener, requestId }: Request, known: StoredJob, afterCommit: AfterCommit): 'answered' {
    const { audience, store } = this.#parts;
    if (known.deletedAtMs !== null) store.setDeleted(known.jobId, null);
    afterCommit(audience.setInterest(listener, known.jobId, requestId, 'over'));
    afterCommit(() => audience.answer(listener, { ...statusDraft(known), cached: true }, requestId));
    return 'answered';
  }

  #refusal({ noRoom }: Request, waiting: number): AppError | null {
    const { limits, runner } = this.#parts;
    if (noRoom !== null) return noRoom;
    if (waiting < limits.waiting) return null;
    const retryAfterMs = Math.ceil(runner.msUntilNextStart() ?? RETRY_AFTER_MS);
    const message = `${waiting} jobs are waiting, and no more than ${limits.waiting} may. Send the job again in ${Math.ceil(retryAfterMs / 1000)} s.`;
    return new AppError('queue_full', message, { limit: limits.waiting, retryAfterMs });
  }

  async #reasonForNoRoom(pictureBytesAtMost: number): Promise<AppError | null> {
    const { outputs, retention, clock, limits } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#freeSpace === null || nowMs - this.#freeSpace.atMs >= FREE_SPACE_MS) this.#freeSpace = { atMs: nowMs, bytes: outputs.freeBytes() };
    try {
      const freeBytes = await this.#freeSpace.bytes;
      const neededBytes = pictureBytesAtMost + limits.reserveBytes;
      if (freeBytes >= neededBytes) return retention.reasonForNoRoom(pictureBytesAtMost);
      const message =
        `The disk that holds ${outputs.dir} has ${megabytes(freeBytes)} MB free; ${megabytes(neededBytes)} MB are needed for this job and a reserve. ` +
        'Free some space or empty the bin, then send the job again.';
      return new AppError('disk_full', message, { neededBytes, freeBytes });
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown;
      throw thrown;
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('shutting_down', 'The server is shutting down and takes no new jobs. Send the job again when it is back.', {});
  }
}

function nameOf({ name, identity }: ModelName): ModelName {
  return { name, identity };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
