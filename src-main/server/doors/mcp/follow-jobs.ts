import type { Job, JobMessage } from '../../../../clients/js/zimage.js';

/** What the handler of a tool knows of its request. */
export interface ToolRequest {
  signal: AbortSignal;
  _meta?: { progressToken?: string | number | undefined } | undefined;
  notify(notification: { method: 'notifications/progress'; params: Progress }): Promise<void>;
}
interface Progress extends Record<string, unknown> {
  progressToken: string | number;
  progress: number;
  total: number;
  message: string;
}

/** A job at its end, or when the time was over. */
export interface FollowedJob {
  job_id: string | null;
  state: string;
  filename: string | null;
  error: string | null;
}

export interface FollowOptions {
  /** Whether to wait for the upscaled version of each image. */
  upscale: boolean;
  waitSeconds: number;
  cancelsOnAbort: boolean;
}

/** Waits for jobs, reports their progress as rising numbers, and cancels them with the request. */
export async function followJobs(jobs: readonly Job[], request: ToolRequest, { upscale, waitSeconds, cancelsOnAbort }: FollowOptions): Promise<FollowedJob[]> {
  let isDone = false;
  const cancelAll = (): void => {
    // the signal aborts after a normal end too
    if (!isDone && cancelsOnAbort) for (const job of jobs) void job.cancel().catch(ended);
  };
  request.signal.addEventListener('abort', cancelAll);
  // while the image of the request was read
  if (request.signal.aborted) cancelAll();
  const report = progressReporter(jobs.length, request);
  const deadline = Date.now() + waitSeconds * 1000;
  const followed = await Promise.all(jobs.map((job, at) => follow(job, { upscale, deadline, onMessage: (message) => report(at, message) })));
  isDone = true;
  return followed;
}

function progressReporter(count: number, { _meta, notify }: ToolRequest): (at: number, message: JobMessage) => void {
  const progressToken = _meta?.progressToken;
  const shares = new Array<number>(count).fill(0);
  let reported = -1;
  return (at, message) => {
    if (message.type !== 'job_progress' || progressToken === undefined) return;
    shares[at] = Math.max(shares[at] ?? 0, message.progress.percentage);
    const progress = shares.reduce((sum, share) => sum + share, 0);
    if (progress <= reported) return;
    reported = progress;
    const text = `${message.progress.stage}, step ${message.progress.current_step} of ${message.progress.total_steps}`;
    void notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 * count, message: text } }).catch(ended);
  };
}

async function follow(job: Job, { upscale, deadline, onMessage }: { upscale: boolean; deadline: number; onMessage: (message: JobMessage) => void }) {
  const found: FollowedJob = { job_id: null, state: 'pending', filename: null, error: null };
  const messages = job[Symbol.asyncIterator]();
  const timeUp = new Promise<null>((resolve) => setTimeout(() => resolve(null), Math.max(0, deadline - Date.now())).unref());
  try {
    while (true) {
      // the first answer, which has the id, comes at once
      const next = found.job_id === null ? await messages.next() : await Promise.race([messages.next(), timeUp]);
      if (next === null || next.done) return found;
      onMessage(next.value);
      found.job_id = job.id ?? null;
      if (next.value.type !== 'job_status') continue;
      const { status, result, error } = next.value;
      Object.assign(found, { state: status, error: error ?? null, filename: (upscale ? result?.upscaled_filename : result?.filename) ?? null });
      if (found.filename !== null) return found;
    }
  } catch (thrown) {
    return { ...found, state: 'refused', error: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** The job has ended, or the host is gone: nothing is left to do. */
function ended(): void {}
