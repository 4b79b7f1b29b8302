import type { ServerMessage } from '#shared/protocol/messages.ts';

/** What the shell shows of the jobs: all of them, whoever asked. */
export interface Activity {
  /** Jobs that run or wait. */
  unfinished: number;
  /** Of the job that is furthest on, 0 to 1; null while none runs. */
  fraction: number | null;
}

export interface EndedJob {
  jobId: string;
  status: 'completed' | 'failed';
  /** Name of the finished picture, of the enlarged one where there is one. */
  filename: string | null;
  /** Why it failed. */
  error: string | null;
}

export interface ActivityWatch {
  /** Takes every message of the server about jobs. */
  hear(message: ServerMessage): void;
  now(): Activity;
}

/** Follows the messages about all jobs. `onChange` hears every change, `onEnded` each job that ended well or badly after it was seen unfinished, once. */
export function watchActivity(onChange: (activity: Activity) => void, onEnded: (job: EndedJob) => void): ActivityWatch {
  const unfinished = new Map<string, number>();
  let shown = '';

  const now = (): Activity => {
    const fractions = [...unfinished.values()];
    const running = fractions.filter((fraction) => fraction >= 0);
    return { unfinished: fractions.length, fraction: running.length === 0 ? null : Math.max(...running) };
  };
  const changed = (): void => {
    const activity = now();
    const text = JSON.stringify(activity);
    if (text === shown) return;
    shown = text;
    onChange(activity);
  };

  return {
    now,
    hear: (message) => {
      if (message.type === 'job_progress') {
        if (!unfinished.has(message.job_id)) return;
        unfinished.set(message.job_id, message.progress.percentage / 100);
      } else if (message.type === 'job_status') {
        const { job_id, status } = message;
        if (status === 'pending') unfinished.set(job_id, -1);
        else if (status === 'processing') unfinished.set(job_id, Math.max(0, unfinished.get(job_id) ?? 0));
        else if (status === 'generated') unfinished.set(job_id, 1);
        else if (unfinished.delete(job_id) && (status === 'completed' || status === 'failed')) {
          const filename = message.result?.upscaled_filename ?? message.result?.filename ?? null;
          onEnded({ jobId: job_id, status, filename, error: message.error ?? null });
        }
      } else return;
      changed();
    },
  };
}
