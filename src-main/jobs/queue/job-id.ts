import { createHash } from 'node:crypto';
import { canonicalJson } from '#main/lib/canonical-json.ts';
import type { JobWork } from '#shared/domain/job.ts';
import type { StoredJob } from '../store/stored-job.ts';

/**
 * SHA-256 (64 hex digits) of the canonical JSON of everything that decides what a job's images look like: key order, white space and `1` against `1.0` change
 * nothing. Images are in the params by the hash of their content. A lone surrogate counts as U+FFFD, which is what UTF-8 makes of it.
 */
export function jobIdOf({ taskType, params, checkpoint, upscaler }: JobWork & Pick<StoredJob, 'checkpoint' | 'upscaler'>): string {
  const identity = {
    taskType,
    params,
    ...(checkpoint === null ? {} : { checkpointIdentity: checkpoint.identity }),
    ...(upscaler === null ? {} : { upscalerIdentity: upscaler.identity }),
  };
  return createHash('sha256')
    .update(canonicalJson(identity, (text) => text.toWellFormed()))
    .digest('hex');
}
