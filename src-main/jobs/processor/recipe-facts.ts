import type { JobWork } from '#shared/domain/job.ts';
import { PROGRAM_NAME, type RecipeFacts } from '#shared/domain/recipe.ts';
import type { StoredJob } from '../store/stored-job.ts';

/** What a recipe says about a job before its image is made. */
export function recipeFacts(
  { jobId, createdAtMs, checkpoint, upscaler, ...job }: JobWork & Pick<StoredJob, 'jobId' | 'createdAtMs' | 'checkpoint' | 'upscaler'>,
  role: RecipeFacts['role'],
  version: string,
): RecipeFacts {
  const common = { job_id: jobId, program: { name: PROGRAM_NAME, version }, created_at: createdAtMs / 1000 };
  if (job.taskType === 'upscale') {
    if (upscaler === null) throw new Error(`Job ${jobId} has no upscaler.`);
    return { ...common, task_type: job.taskType, role: 'upscaled', params: job.params, upscaler };
  }
  if (checkpoint === null) throw new Error(`Job ${jobId} has no checkpoint.`);
  const generated = { ...common, role, checkpoint, ...(upscaler === null ? {} : { upscaler }) };
  // the task decides the type of its params
  if (job.taskType === 'inpaint') return { ...generated, task_type: job.taskType, params: job.params };
  if (job.taskType === 'image_to_image') return { ...generated, task_type: job.taskType, params: job.params };
  return { ...generated, task_type: job.taskType, params: job.params };
}
