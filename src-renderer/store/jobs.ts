import type { UpscaleParams } from '#shared/domain/job.ts';
import type { JobRecord } from '#shared/domain/job-record.ts';
import type { JobPreviewMessage, JobProgressMessage, JobStatusMessage } from '#shared/protocol/messages.ts';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import type { GenerateParams } from '../client/create-job.ts';

export type JobProgress = JobProgressMessage['progress'];

/** A job as the window knows it. It has the params of its task; both are null for another client's job until the server has sent them. */
export interface Job {
  id: string;
  status: JobStatusMessage['status'];
  params: GenerateParams | null;
  upscaleParams: UpscaleParams | null;
  /** Milliseconds since 1970. */
  createdAtMs: number;
  progress: JobProgress | null;
  /** The latest preview of a running job, as a data URL. */
  preview: string | null;
  filename: string | null;
  upscaledFilename: string | null;
  failure: { code: string; message: string } | null;
  position: number | null;
  /** Expected end, estimated by the server; milliseconds since 1970. */
  finishAtMs: number | null;
  /** True if the server already had this image. */
  cached: boolean;
  checkpoint: string | null;
  /** Ids of the clients that requested it, the first one first. */
  clients: readonly string[];
  isStarred: boolean;
  /** True while it is in the bin. */
  isDeleted: boolean;
  /** When it was moved to the bin; milliseconds since 1970. */
  deletedAtMs: number | null;
}

export type Jobs = Readonly<Record<string, Job>>;

export function newJob(id: string, createdAtMs: number): Job {
  return {
    id,
    status: 'pending',
    params: null,
    upscaleParams: null,
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
    clients: [],
    isStarred: false,
    isDeleted: false,
    deletedAtMs: null,
  };
}

/** False until the server has sent what the job is made from. */
export function isKnown(job: Job): boolean {
  return job.params !== null || job.upscaleParams !== null;
}

/** A job of the server's list. */
export function jobFromRecord(record: JobRecord): Job {
  return {
    ...newJob(record.job_id, record.created_at * 1000),
    status: record.status,
    ...(record.task_type === 'upscale' ? { upscaleParams: record.params } : { params: record.params }),
    filename: record.result?.filename ?? null,
    upscaledFilename: record.result?.upscaled_filename ?? null,
    failure: record.status === 'failed' ? { code: record.code ?? 'internal', message: record.error ?? '' } : null,
    position: record.position,
    checkpoint: record.checkpoint,
    clients: record.clients,
    isStarred: record.starred,
    isDeleted: record.deleted,
    deletedAtMs: record.deleted_at === null ? null : record.deleted_at * 1000,
  };
}

/** `job` after a status message. The image stays visible while it is upscaled. */
export function applyStatus(job: Job, message: JobStatusMessage, nowMs: number): Job {
  const status = message.status;
  const isRestarted = (status === 'pending' || status === 'processing') && isOver(job);
  return {
    ...job,
    status,
    progress: isRestarted || isOver({ status }) ? null : job.progress,
    preview: status === 'processing' && !isRestarted ? job.preview : null,
    filename: message.result?.filename ?? (isRestarted ? null : job.filename),
    upscaledFilename: message.result?.upscaled_filename ?? (isRestarted ? null : job.upscaledFilename),
    failure: status === 'failed' ? { code: message.code ?? 'internal', message: message.error ?? '' } : null,
    position: message.position ?? null,
    finishAtMs: message.eta_ms === undefined ? (status === 'generated' ? job.finishAtMs : null) : nowMs + message.eta_ms,
    cached: message.cached ?? false,
    checkpoint: message.checkpoint ?? job.checkpoint,
    isDeleted: message.deleted ?? (isRestarted ? false : job.isDeleted),
  };
}

export function applyProgress(job: Job, message: JobProgressMessage): Job {
  return isOver(job) ? job : { ...job, progress: message.progress };
}

export function applyPreview(job: Job, message: JobPreviewMessage): Job {
  return job.status === 'processing' ? { ...job, preview: `data:${message.media_type};base64,${message.data}` } : job;
}

/** True if the job has reached its final state. */
export function isOver(job: Pick<Job, 'status'>): boolean {
  return job.status === 'completed' || job.status === 'failed' || job.status === 'cancelled';
}

export function isCancellable(job: Pick<Job, 'status'>): boolean {
  return job.status === 'pending' || job.status === 'processing';
}

/** True for a job that was requested in a window of this program, in this browser or another one. */
export function isOfWindow({ clients: [first] }: Pick<Job, 'clients'>): boolean {
  return first === undefined || windowClientIdPattern.test(first);
}

/** Whether a stage that follows its window's jobs moves on to `job`: it does if it is free, or if `job` has more to show. */
export function shouldTakeStage(job: Job, onStage: Job | undefined): boolean {
  if (job.isDeleted) return false;
  if (onStage === undefined) return true;
  if (isOver(job)) return false;
  return isOver(onStage) || visibility(job) > visibility(onStage);
}

/** How much of a job there is to see: nothing, its start, or its image. */
function visibility(job: Job): number {
  if (job.status === 'pending') return 0;
  return job.progress === null && job.preview === null && job.filename === null ? 1 : 2;
}

/** Above `MAX_KNOWN` jobs, all finished ones but the newest `KEPT_PAST` are dropped; the gallery has them all. */
const MAX_KNOWN = 400;
const KEPT_PAST = 200;

/** A copy of `jobs` without the oldest finished ones, so that it does not grow without limit. */
export function withoutOldest(jobs: Jobs, keptId: string | null): Record<string, Job> {
  if (Object.keys(jobs).length <= MAX_KNOWN) return { ...jobs };
  const kept = new Set(pastJobs(jobs).slice(0, KEPT_PAST));
  return Object.fromEntries(Object.entries(jobs).filter(([id, job]) => id === keptId || !isOver(job) || kept.has(job)));
}

/** Running jobs, then queued ones in the server's `order` as far as it is known. */
export function activeJobs(jobs: Jobs, order: readonly string[]): Job[] {
  const rank = new Map(order.map((id, index) => [id, index]));
  const turn = (job: Job) => (job.status === 'generated' ? -2 : job.status === 'processing' ? -1 : (rank.get(job.id) ?? order.length));
  return Object.values(jobs)
    .filter((job) => !isOver(job))
    .sort((a, b) => turn(a) - turn(b) || a.createdAtMs - b.createdAtMs);
}

/** What the stage shows after `id` was deleted: the next older image, otherwise the next newer one. */
export function neighbourOf(id: string, jobs: Jobs): string | null {
  const deleted = jobs[id];
  const past = pastJobs(jobs).filter((job) => job.id !== id && job.status !== 'cancelled');
  const older = past.find((job) => job.createdAtMs <= (deleted?.createdAtMs ?? 0));
  return (older ?? past.at(-1))?.id ?? null;
}

/** Finished, failed and cancelled jobs, newest first. */
export function pastJobs(jobs: Jobs): Job[] {
  return Object.values(jobs)
    .filter((job) => isOver(job) && !job.isDeleted)
    .sort((a, b) => b.createdAtMs - a.createdAtMs);
}
