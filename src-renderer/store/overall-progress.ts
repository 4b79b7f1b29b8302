import type { Job } from './jobs.ts';

/** What a person reads beside the bar. */
export interface OverallProgress {
  phase: 'waiting' | 'starting' | 'loading' | 'encoding' | 'generating' | 'decoding' | 'saving' | 'upscaling';
  /** 0 to 1 over the whole job; never falls within one run. */
  fraction: number;
  /** False where nobody can say how far this part is: the bar then shows that it works, not how far it is. */
  isMeasured: boolean;
  step: number;
  totalSteps: number;
  /** `mm:ss`, measured by the server, for the drawing steps only. */
  remaining: string | null;
}

/** Where each part of a job begins and ends on the bar. */
const spans = {
  loading: [0, 0.05],
  encoding: [0.05, 0.08],
  generating: [0.08, 0.7],
  decoding: [0.7, 0.78],
  saving: [0.78, 0.8],
  upscaling: [0.8, 1],
} as const;

/** How far a job is that is not over yet. */
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
 * Time until the job is done, upscaled image included, as `mm:ss`; without one measured, or where that was too short, of the drawing steps alone. Null where
 * nothing is known.
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
