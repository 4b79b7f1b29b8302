import type { ClientPlace, Jobs } from '#main/jobs/jobs.ts';
import { AppError, type ErrorCode, wireErrorSchema } from '#shared/protocol/errors.ts';
import type { CreateJob, JobPreviewMessage, JobProgressMessage } from '#shared/protocol/messages.ts';

/** One image of a run. */
export interface DoorImage {
  jobId: string;
  work: CreateJob;
  /** Of the image, or of its upscaled version if the run waits for that; null if the job was cancelled. */
  filename: string | null;
}

export interface DoorRunOptions {
  jobs: Jobs;
  /** `requester` is the program that asks: its requests take turns with other clients as one. */
  caller: { from: ClientPlace; requester: string };
  works: readonly CreateJob[];
  /** What to wait for. */
  until: 'generated' | 'completed';
  onProgress?: (index: number, progress: JobProgressMessage['progress']) => void;
  /** From `watchPreviews` on. */
  onPreview?: (index: number, preview: JobPreviewMessage) => void;
}

/** The jobs of one request. A job that others want too goes on for them after `cancel`. */
export interface DoorRun {
  /** Rejects with the first refusal or failure; the other jobs are cancelled then. */
  images: Promise<DoorImage[]>;
  /** Resolves when every job was accepted; rejects with the first refusal. */
  accepted: Promise<void>;
  /** Previews cost time, so they are made only if somebody takes them. */
  watchPreviews(): void;
  /** Ends the run; `images` resolves with what is done. */
  cancel(): void;
}

/** Asks for jobs as one client and follows them. The only way from a door to the jobs. */
export function startDoorRun({ jobs, caller, works, until, onProgress, onPreview }: DoorRunOptions): DoorRun {
  const images: DoorImage[] = works.map((work) => ({ jobId: '', work, filename: null }));
  const open = new Set(images.keys());
  const done = Promise.withResolvers<DoorImage[]>();
  const accepted = Promise.withResolvers<void>();
  // who waits for one of the two hears of the failure there
  for (const promise of [done.promise, accepted.promise]) promise.catch(() => {});

  const connection = jobs.connect({ clientId: null, ...caller }, (message) => {
    switch (message.type) {
      case 'job_progress':
        return eachOf(message.job_id, (at) => onProgress?.(at, message.progress));
      case 'job_preview':
        return eachOf(message.job_id, (at) => onPreview?.(at, message));
      case 'job_status': {
        const image = typeof message.request_id === 'number' ? images[message.request_id] : undefined;
        if (image !== undefined) image.jobId = message.job_id;
        if (images.every(({ jobId }) => jobId !== '')) accepted.resolve();
        const { status, result, error = `The job is ${status}.`, code } = message;
        const filename = until === 'generated' ? result?.filename : result?.upscaled_filename;
        if (filename !== undefined && status !== 'failed') eachOf(message.job_id, (at) => settle(at, filename));
        else if (status === 'cancelled') eachOf(message.job_id, (at) => settle(at, null));
        else if (status === 'failed') fail(new AppError<ErrorCode>(wireErrorSchema.shape.code.safeParse(code).data ?? 'engine_failed', error, {}));
      }
    }
  });

  function eachOf(jobId: string, act: (at: number) => void): void {
    for (const [at, image] of images.entries()) if (image.jobId === jobId && open.has(at)) act(at);
  }
  function settle(at: number, filename: string | null): void {
    const image = images[at];
    if (image !== undefined) image.filename = filename;
    open.delete(at);
    if (open.size === 0) end(() => done.resolve(images));
  }
  function fail(reason: unknown): void {
    end(() => {
      accepted.reject(reason);
      done.reject(reason);
    });
  }
  function end(settleRun: () => void): void {
    const unfinished = [...open].flatMap((at) => images[at]?.jobId || []);
    open.clear();
    settleRun();
    // one that has just ended, or is wanted by others, is not cancelled
    void Promise.allSettled(unfinished.map(async (jobId) => connection.cancel(jobId, undefined))).then(() => connection.close());
  }

  for (const [at, work] of works.entries()) void connection.create({ ...work, request_id: at }, (reason) => fail(reason));
  return {
    images: done.promise,
    accepted: accepted.promise,
    watchPreviews: () => {
      if (open.size > 0) connection.watch({ previews: true });
    },
    cancel: () => {
      if (open.size > 0) end(() => done.resolve(images));
    },
  };
}

/** The image's file. Throws `unknown_image` if it was deleted meanwhile. */
export async function fileOf(jobs: Jobs, filename: string): Promise<string> {
  const path = await jobs.imageFile(filename);
  if (path === null) throw new AppError('unknown_image', 'The image was deleted before it could be sent.', {});
  return path;
}
