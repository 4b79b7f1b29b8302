import type { TFunction } from 'i18next';
import type { Job } from '../store/jobs.ts';

/** What a job is called: its prompt, or what it does to an image. */
export function jobTitle(t: TFunction, job: Job): string {
  if (job.upscaleParams !== null) return t('queue.upscaledImage', { scale: job.upscaleParams.scale });
  return job.params?.prompt ?? t('queue.unknownPrompt');
}
