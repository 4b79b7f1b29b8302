import type { TFunction } from 'i18next';
import type { Job } from '../store/jobs.ts';
import type { OverallProgress } from '../store/overall-progress.ts';

/** The current stage of a job in words. */
export function phaseText(t: TFunction, job: Job, progress: OverallProgress): string {
  if (progress.phase === 'waiting' && job.position !== null) return t('phase.waitingAt', { count: job.position });
  if (progress.phase === 'generating') return t('phase.generating', { step: progress.step, total: progress.totalSteps });
  return t(`phase.${progress.phase}`);
}
