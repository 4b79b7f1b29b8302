import { AppError, appError } from '#shared/protocol/errors.ts';
import { type CreateJob, MAX_CLIENT_JOBS, type RequestId, type ServerMessage } from '#shared/protocol/messages.ts';
import type { Connection } from './events/connections.ts';
import { statusDraft, wireResult } from './events/status-message.ts';
import type { Subscriptions } from './events/subscriptions.ts';
import type { Caller, JobsConnection } from './jobs.ts';
import type { JobProcessor } from './processor/job-processor.ts';
import type { Admission } from './queue/admission.ts';
import type { Store } from './store/store.ts';
import type { StoredJob } from './store/stored-job.ts';
import type { UnitOfWork } from './store/unit-of-work.ts';

interface Parts {
  store: Store;
  subscriptions: Subscriptions;
  unitOfWork: UnitOfWork;
  processor: JobProcessor;
  admission: Admission;
  onClose: () => void;
}

/** The messages of one open connection, and what they do to jobs. */
export class ClientConnection implements JobsConnection {
  readonly #parts: Parts;
  readonly #connection: Connection;

  constructor(parts: Parts, caller: Caller, send: (message: ServerMessage) => void) {
    this.#parts = parts;
    this.#connection = parts.subscriptions.connections.open(caller, send);
  }

  create(message: CreateJob, refuse: (reason: unknown) => void): Promise<void> {
    return this.#parts.admission.create(this.#connection, message, refuse);
  }

  getStatus(jobId: string, requestId: RequestId): void {
    const { subscriptions, processor } = this.#parts;
    const job = this.#known(jobId);
    const own = subscriptions.of(this.#connection, jobId);
    const draft = own?.standing === 'cancelled' ? statusDraft({ ...job, state: { status: 'cancelled' } }) : { ...statusDraft(job), ...processor.times(jobId) };
    subscriptions.answer(this.#connection, draft, requestId ?? own?.requestId);
  }

  cancel(jobId: string, requestId: RequestId): Promise<void> {
    const { subscriptions } = this.#parts;
    const job = this.#known(jobId);
    const own = subscriptions.of(this.#connection, jobId);
    const status = own?.standing === 'cancelled' ? 'cancelled' : job.state.status;
    if (status !== 'pending' && status !== 'processing') throw appError('not_cancellable', { status });
    if (subscriptions.othersWant(this.#connection, jobId) && own?.standing !== 'live') throw appError('job_of_others', {});
    if (job.isForeign) throw appError('job_of_other_version', {});
    return this.#cancel(jobId, own, requestId);
  }

  async #cancel(jobId: string, own: ReturnType<Subscriptions['of']>, requestId: RequestId): Promise<void> {
    const { subscriptions, unitOfWork, processor } = this.#parts;
    const connection = this.#connection;
    const job = await unitOfWork.commitSoon((events) => {
      const job = this.#known(jobId);
      const isShared = subscriptions.othersWant(connection, jobId);
      if (isShared) events.push({ type: 'client_left', connection, job, requestId: own?.requestId });
      else if (unitOfWork.apply(job, { type: 'cancelled' }, events) === null) throw appError('not_cancellable', { status: job.state.status });
      if (own !== null) events.push({ type: 'subscription_changed', connection, jobId, requestId: own.requestId, standing: 'cancelled' });
      return job;
    });
    // the subscription has sent it with the request_id of the create_job; this message gets an answer of its own unless the two would be the same
    if (own?.standing !== 'live' || (requestId !== undefined && requestId !== own.requestId))
      subscriptions.answer(connection, statusDraft({ ...job, state: { status: 'cancelled' } }), requestId);
    processor.startWaiting();
  }

  clientJobs({ limit = MAX_CLIENT_JOBS, before, requestId }: Parameters<JobsConnection['clientJobs']>[0]): void {
    const { clientId, send } = this.#connection;
    if (clientId === null) throw appError('client_id_required', {});
    const found = this.#parts.store.subscriptions.jobsOf(clientId, { before, limit: limit + 1 });
    const jobs = found.slice(0, limit).map(({ jobId, taskType, createdAtMs, state, standing }) => ({
      job_id: jobId,
      task_type: taskType,
      status: standing === 'cancelled' ? ('cancelled' as const) : state.status,
      created_at: createdAtMs / 1000,
      result: standing === 'cancelled' ? null : wireResult(state),
    }));
    send({ type: 'client_jobs', jobs, ...(found.length > limit ? { more: true } : {}), request_id: requestId });
  }

  watch({ since, all, previews, requestId }: Parameters<JobsConnection['watch']>[0]): void {
    const { subscriptions } = this.#parts;
    const connection = this.#connection;
    if (since !== undefined) subscriptions.replay(connection, since);
    connection.all = all ?? connection.all;
    connection.previews = previews ?? connection.previews;
    connection.send({ type: 'watching', seq: subscriptions.newestSeq(connection), request_id: requestId });
  }

  close(): void {
    this.#parts.subscriptions.connections.close(this.#connection);
    this.#parts.onClose();
  }

  #known(jobId: string): StoredJob {
    const job = this.#parts.store.jobs.byId(jobId);
    if (job === null) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
    return job;
  }
}
