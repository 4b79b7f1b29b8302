import type { JobRecord } from '#shared/domain/job-record.ts';
import { appError } from '#shared/protocol/errors.ts';
import { wireResult } from './events/status-message.ts';
import type { JobProcessor } from './processor/job-processor.ts';
import type { Store } from './store/store.ts';
import type { StoredJob } from './store/stored-job.ts';

/** Jobs as the gallery and the history show them. Asks the database once for all of them. */
export function createRecords(jobs: readonly StoredJob[], { store, processor }: { store: Store; processor: JobProcessor }): JobRecord[] {
  const clients = store.subscriptions.clientsOf(jobs.map(({ jobId }) => jobId));
  return jobs.map((job) => ({
    job_id: job.jobId,
    ...workOf(job),
    status: job.state.status,
    result: wireResult(job.state),
    ...errorOf(job),
    created_at: job.createdAtMs / 1000,
    finished_at: job.finishedAtMs === null ? null : job.finishedAtMs / 1000,
    clients: clients.get(job.jobId) ?? [],
    starred: job.starred,
    deleted: job.deletedAtMs !== null,
    deleted_at: job.deletedAtMs === null ? null : job.deletedAtMs / 1000,
    position: processor.positionOf(job.jobId),
  }));
}

function workOf(job: StoredJob) {
  if (job.taskType === 'upscale') return { task_type: job.taskType, params: job.params, checkpoint: null, upscaler: job.upscaler?.name ?? '' };
  const models = { checkpoint: job.checkpoint?.name ?? '', upscaler: job.upscaler?.name ?? null };
  // the task decides the type of its params
  if (job.taskType === 'inpaint') return { task_type: job.taskType, params: job.params, ...models };
  if (job.taskType === 'image_to_image') return { task_type: job.taskType, params: job.params, ...models };
  return { task_type: job.taskType, params: job.params, ...models };
}

function errorOf({ state, isForeign }: StoredJob): Pick<JobRecord, 'error' | 'code'> {
  if (isForeign) {
    const { code, message } = appError('job_of_other_version', {});
    return { error: message, code };
  }
  return state.status === 'failed' ? { error: state.error.message, code: state.error.code } : { error: null, code: null };
}
