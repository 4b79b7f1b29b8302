import type { TextToImageParams } from '#shared/domain/job.ts';
import type { JobRecord } from '#shared/domain/job-record.ts';
import type { JobPreviewMessage, JobProgressMessage, JobStatusMessage } from '#shared/protocol/messages.ts';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';

export type JobProgress = JobProgressMessage['progress'];

/** A job as the window knows it. `params` is null for a job of another client until the server has told them. */
export interface Job {
  id: string;
  status: JobStatusMessage['status'];
  params: TextToImageParams | null;
  /** Milliseconds since 1970. */
  createdAtMs: number;
  progress: JobProgress | null;
  /** The latest small image of a running job, as a data URL. */
  preview: string | null;
  filename: string | null;
  upscaledFilename: string | null;
  failure: { code: string; message: string } | null;
  position: number | null;
  /** When it will be done, as measured on the server's machine; milliseconds since 1970. */
  finishAtMs: number | null;
  /** True where the server had this image already. */
  cached: boolean;
  checkpoint: string | null;
  /** Who asked for it first: this window's own id, or a script's. */
  client: string | null;
  isStarred: boolean;
  /** True while it lies in the bin. */
  isDeleted: boolean;
}

export type Jobs = Readonly<Record<string, Job>>;

export function newJob(id: string, createdAtMs: number): Job {
  return {
    id,
    status: 'pending',
    params: null,
    createdAtMs,
    progress: null,
    preview: null,
    filename: null,
    upscaledFilename: null,
    failure: null,
    position: null,
    finishAtMs: null,
    cached: false,
    checkpoint: null,
    client: null,
    isStarred: false,
    isDeleted: false,
  };
}

/** A job of the server's list. */
export function jobFromRecord(record: JobRecord): Job {
  return {
    ...newJob(record.job_id, record.created_at * 1000),
    status: record.status,
    params: record.params,
    filename: record.result?.filename ?? null,
    upscaledFilename: record.result?.upscaled_filename ?? null,
    failure: record.status === 'failed' ? { code: record.code ?? 'internal', message: record.error ?? '' } : null,
    position: record.position,
    checkpoint: record.checkpoint,
    client: record.clients[0] ?? null,
    isStarred: record.starred,
    isDeleted: record.deleted,
  };
}

/** `job` after a status message. The image stays on show while the same job is upscaled. */
export function applyStatus(job: Job, message: JobStatusMessage, nowMs: number): Job {
  const status = message.status;
  const startsAnew = (status === 'pending' || status === 'processing') && isOver(job);
  return {
    ...job,
    status,
    progress: startsAnew || isOver({ status }) ? null : job.progress,
    preview: status === 'processing' && !startsAnew ? job.preview : null,
    filename: message.result?.filename ?? (startsAnew ? null : job.filename),
    upscaledFilename: message.result?.upscaled_filename ?? (startsAnew ? null : job.upscaledFilename),
    failure: status === 'failed' ? { code: message.code ?? 'internal', message: message.error ?? '' } : null,
    position: message.position ?? null,
    finishAtMs: message.eta_ms === undefined ? (status === 'generated' ? job.finishAtMs : null) : nowMs + message.eta_ms,
    cached: message.cached ?? false,
    checkpoint: message.checkpoint ?? job.checkpoint,
    isDeleted: message.deleted ?? (startsAnew ? false : job.isDeleted),
  };
}

export function applyProgress(job: Job, message: JobProgressMessage): Job {
  return isOver(job) ? job : { ...job, progress: message.progress };
}

export function applyPreview(job: Job, message: JobPreviewMessage): Job {
  return job.status === 'processing' ? { ...job, preview: `data:${message.media_type};base64,${message.data}` } : job;
}

/** True where nothing more will happen by itself. */
export function isOver(job: Pick<Job, 'status'>): boolean {
  return job.status === 'completed' || job.status === 'failed' || job.status === 'cancelled';
}

export function isCancellable(job: Pick<Job, 'status'>): boolean {
  return job.status === 'pending' || job.status === 'processing';
}

/** True for a job that was asked for in a window of the program, of this browser or another one. */
export function isOfWindow(job: Pick<Job, 'client'>): boolean {
  return job.client === null || windowClientIdPattern.test(job.client);
}

/** So many jobs are known at most before the oldest that are over are forgotten; the gallery has them all. */
const MOST_KNOWN = 400;
const KEPT_PAST = 200;

/** A copy of `jobs` that does not grow for ever while scripts make images. */
export function withoutOldest(jobs: Jobs, keptId: string | null): Record<string, Job> {
  if (Object.keys(jobs).length <= MOST_KNOWN) return { ...jobs };
  const kept = new Set(pastJobs(jobs).slice(0, KEPT_PAST));
  return Object.fromEntries(Object.entries(jobs).filter(([id, job]) => id === keptId || !isOver(job) || kept.has(job)));
}

/** Running jobs first, then the waiting ones; `order` is the server's list of those, where it is known. */
export function activeJobs(jobs: Jobs, order: readonly string[]): Job[] {
  const rank = new Map(order.map((id, index) => [id, index]));
  const turn = (job: Job) => (job.status === 'generated' ? -2 : job.status === 'processing' ? -1 : (rank.get(job.id) ?? order.length));
  return Object.values(jobs)
    .filter((job) => !isOver(job))
    .sort((a, b) => turn(a) - turn(b) || a.createdAtMs - b.createdAtMs);
}

/** Finished, failed and cancelled ones, newest first. */
export function pastJobs(jobs: Jobs): Job[] {
  return Object.values(jobs)
    .filter((job) => isOver(job) && !job.isDeleted)
    .sort((a, b) => b.createdAtMs - a.createdAtMs);
}
