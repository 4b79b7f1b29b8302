import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Caller, Jobs, JobsConnection } from '#main/jobs/jobs.ts';
import { takesEffect } from '#main/settings/takes-effect.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { JobRecord, QueueSummary } from '#shared/domain/job-record.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { ServerMessage } from '#shared/protocol/messages.ts';
import { type Settings, type SettingsAnswer, type SettingsChange, settingsSchema } from '#shared/protocol/settings.ts';

/** In-memory jobs that never run unless a test says so; the server's tests use them. */
export class JobsDouble implements Jobs {
  readonly records = new Map<string, JobRecord>();
  readonly connections = new Set<{ caller: Caller; send: (message: ServerMessage) => void }>();
  /** Thrown by the next `create`. */
  refusal: Error | null = null;
  closed: 'park' | 'now' | null = null;
  paused = false;
  chosen: Settings = {
    outputs_folder: '/images',
    disk_limit_gb: null,
    empty_bin_after_days: null,
    window_jobs_first: true,
    unload_model_after_minutes: 30,
    device: 'auto',
    mark_images: true,
  };
  readonly #outputsDir: string;
  readonly #deletedListeners: ((filenames: string[]) => void)[] = [];

  constructor(outputsDir: string) {
    this.#outputsDir = outputsDir;
  }

  /** Sends to every open connection. */
  broadcast(message: ServerMessage): void {
    for (const { send } of this.connections) send(message);
  }

  connect(caller: Caller, send: (message: ServerMessage) => void): JobsConnection {
    const connection = { caller, send };
    this.connections.add(connection);
    return {
      create: async (message, refuse) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (this.refusal !== null) return refuse(this.refusal);
        const job_id = createHash('sha256').update(JSON.stringify(message.params)).digest('hex');
        if (message.task_type === 'text_to_image') {
          const { prompt, width, height, steps, guidance_scale, seed, model_type } = message.params;
          this.records.set(job_id, record(job_id, { prompt, width, height, steps, guidance_scale, seed, model_type }, caller));
        }
        send({ type: 'job_status', job_id, status: 'pending', request_id: message.request_id });
      },
      getStatus: (job_id, request_id) => send({ type: 'job_status', job_id, status: this.#known(job_id).status, request_id }),
      cancel: async (job_id, request_id) => {
        const job = this.#known(job_id);
        if (job.status !== 'pending') throw new AppError('not_cancellable', `The job is ${job.status}.`, { status: job.status });
        job.status = 'cancelled';
        send({ type: 'job_status', job_id, status: 'cancelled', request_id });
      },
      clientJobs: ({ requestId: request_id }) => {
        if (caller.clientId === null) throw new AppError('client_id_required', 'Connect with a client_id.', {});
        const jobs = [...this.records.values()].map(({ job_id, task_type, status, created_at, result }) => ({ job_id, task_type, status, created_at, result }));
        send({ type: 'client_jobs', jobs, request_id });
      },
      watch: ({ since, requestId }) => send({ type: 'watching', seq: since ?? 0, request_id: requestId }),
      close: () => this.connections.delete(connection),
    };
  }

  list(): ReturnType<Jobs['list']> {
    return { jobs: [...this.records.values()], next: null };
  }

  get(jobId: string): JobRecord | null {
    return this.records.get(jobId) ?? null;
  }

  async patch(jobId: string, change: { starred: boolean }): Promise<JobRecord> {
    return Object.assign(this.#known(jobId), change);
  }

  async remove(jobId: string): Promise<JobRecord> {
    return Object.assign(this.#known(jobId), { deleted: true });
  }

  async restore(jobId: string): Promise<JobRecord> {
    return Object.assign(this.#known(jobId), { deleted: false });
  }

  async removePermanently(jobId: string): Promise<void> {
    if (!this.#known(jobId).deleted) throw new AppError('unknown_job', `Job ${jobId} is not in the bin.`, {});
    this.records.delete(jobId);
  }

  async emptyBin(): ReturnType<Jobs['emptyBin']> {
    const deleted = [...this.records.values()].filter((job) => job.deleted);
    for (const { job_id } of deleted) this.records.delete(job_id);
    this.tellDeleted(deleted.flatMap(({ result }) => (result === null ? [] : [result.filename])));
    return { removed: deleted.length, failed: [] };
  }

  onImagesDeleted(listener: (filenames: string[]) => void): void {
    this.#deletedListeners.push(listener);
  }

  /** A queued job without a client. */
  add(jobId: string): void {
    const params = { prompt: 'x', width: 256, height: 256, steps: 9, guidance_scale: 0, seed: 42, model_type: 'uint4' } as const;
    this.records.set(jobId, record(jobId, params, { clientId: null }));
  }

  tellDeleted(filenames: string[]): void {
    for (const listener of this.#deletedListeners) listener(filenames);
  }

  async queue(action: Parameters<Jobs['queue']>[0]): Promise<QueueSummary> {
    if (action.action === 'pause') this.paused = true;
    if (action.action === 'resume') this.paused = false;
    return this.summary();
  }

  summary(): QueueSummary {
    return { paused: this.paused, waiting: this.records.size, running: 0, order: [...this.records.keys()], limit: 1000, measured: [] };
  }

  clients(): ReturnType<Jobs['clients']> {
    const clients = [...this.connections].flatMap(({ caller: { clientId, from = 'this_machine' } }) =>
      clientId === null ? [] : [{ client_id: clientId, first_seen: 1, last_seen: 1, jobs: 0, connections: 1, from }],
    );
    return { clients, anonymous_connections: this.connections.size - clients.length };
  }

  async setLabel(): Promise<void> {
    throw new Error('this double has no labels');
  }

  labels(): ReturnType<Jobs['labels']> {
    return { labels: [] };
  }

  sizes(): ReturnType<Jobs['sizes']> {
    return { sizes: [{ width: 1024, height: 1024, jobs: this.records.size }] };
  }

  settings(): SettingsAnswer {
    return { ...this.chosen, fixed: [], takes_effect: takesEffect };
  }

  async changeSettings(change: SettingsChange): Promise<SettingsAnswer> {
    this.chosen = settingsSchema.parse({ ...this.chosen, ...change });
    return this.settings();
  }

  binnedImageFile(filename: string): Promise<string | null> {
    return this.imageFile(filename);
  }

  async imageFile(filename: string): Promise<string | null> {
    const path = join(this.#outputsDir, filename);
    return /^[\p{L}\p{N}-]+\.png$/u.test(filename) && existsSync(path) ? realpath(path) : null;
  }

  async findMadeImage(): Promise<null> {
    return null;
  }

  async repeatObstacles(): Promise<string[]> {
    return [];
  }

  async repeat(): Promise<never> {
    throw new AppError('shutting_down', 'The double repeats nothing.', {});
  }

  async close(how: 'park' | 'now'): Promise<void> {
    this.closed = how;
  }

  #known(jobId: string): JobRecord {
    const job = this.records.get(jobId);
    if (job === undefined) throw new AppError('unknown_job', `There is no job ${jobId}.`, {});
    return job;
  }
}

function record(job_id: string, params: TextToImageParams, { clientId }: Caller): JobRecord {
  return {
    job_id,
    task_type: 'text_to_image',
    status: 'pending',
    params,
    result: null,
    error: null,
    code: null,
    checkpoint: 'storybook-uint4',
    upscaler: 'realesr-general-x4v3',
    created_at: 1_770_163_200.5,
    finished_at: null,
    clients: clientId === null ? [] : [clientId],
    starred: false,
    deleted: false,
    deleted_at: null,
    position: 1,
  };
}
