import type { Job } from './jobs.ts';

/** Progress over the whole job, for the progress bar and its text. */
export interface OverallProgress {
  phase: 'waiting' | 'starting' | 'loading' | 'encoding' | 'generating' | 'decoding' | 'saving' | 'upscaling';
  /** 0 to 1 over the whole job; never falls within one run. */
  fraction: number;
  /** False if this stage has no percentage; the bar then only shows activity. */
  isMeasured: boolean;
  step: number;
  totalSteps: number;
  /** `mm:ss`, estimated by the server, for the denoising steps only; null otherwise. */
  remaining: string | null;
}

/** Start and end of each stage on the bar. */
const spans = {
  loading: [0, 0.05],
  encoding: [0.05, 0.08],
  generating: [0.08, 0.7],
  decoding: [0.7, 0.78],
  saving: [0.78, 0.8],
  upscaling: [0.8, 1],
} as const;

/** Progress of a job that is not over. */
export function overallProgress(job: Job): OverallProgress {
  const unmeasured = { isMeasured: false, step: 0, totalSteps: 0, remaining: null };
  if (job.status === 'pending') return { phase: 'waiting', fraction: 0, ...unmeasured };
  if (job.status === 'generated' && job.progress?.stage !== 'upscaling') return { phase: 'upscaling', fraction: spans.upscaling[0], ...unmeasured };
  if (job.progress === null) return { phase: 'starting', fraction: 0, ...unmeasured };
  const { stage, current_step, total_steps, stage_fraction, remaining } = job.progress;
  const done = stage === 'generating' ? current_step / Math.max(1, total_steps) : stage_fraction;
  const [from, to] = spans[stage];
  return {
    phase: stage,
    fraction: from + (to - from) * (done ?? 0),
    isMeasured: done !== undefined,
    step: current_step,
    totalSteps: total_steps,
    remaining: stage === 'generating' && current_step > 0 && remaining !== '00:00' ? remaining : null,
  };
}

/**
 * Time until the job is done, upscaling included, as `mm:ss`. If the estimate is missing or has run out, the time of the denoising steps. Null if nothing
 * is known: no time is better than a wrong 00:00.
 */
export function timeLeft(job: Job, { remaining }: OverallProgress, nowMs: number): string | null {
  const untilDone = job.finishAtMs === null ? 0 : Math.round((job.finishAtMs - nowMs) / 1000);
  const drawing = (remaining ?? '').split(':').reduce((seconds, part) => seconds * 60 + Number(part), 0);
  const seconds = Math.max(untilDone, drawing);
  if (seconds < 1) return null;
  const pad = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return `${hours === 0 ? '' : `${hours}:`}${pad(minutes)}:${pad(seconds % 60)}`;
}
