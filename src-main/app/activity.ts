import type { ServerMessage } from '#shared/protocol/messages.ts';

/** What the app shows about all jobs of all clients. */
export interface Activity {
  /** Running and waiting jobs. */
  unfinished: number;
  /** Progress of the job that is furthest, 0 to 1; null while no job runs. */
  fraction: number | null;
}

export interface EndedJob {
  jobId: string;
  status: 'completed' | 'failed';
  /** Name of the finished image: the upscaled one if there is one. */
  filename: string | null;
  /** Why it failed. */
  error: string | null;
}

export interface ActivityWatch {
  /** Takes every message of the server about jobs. */
  receive(message: ServerMessage): void;
  now(): Activity;
}

/** Follows the messages about all jobs. Calls `onChange` at every change, and `onEnded` once for each unfinished job that completes or fails. */
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
    receive: (message) => {
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
