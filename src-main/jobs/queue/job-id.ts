import { createHash } from 'node:crypto';
import { canonicalJson } from '#main/lib/canonical-json.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';

/** Everything that determines a job's images. */
export interface JobIdentity {
  taskType: 'text_to_image';
  params: TextToImageParams;
  checkpointIdentity: string;
  upscalerIdentity: string;
}

/**
 * SHA-256 (64 hex digits) of the canonical JSON of `identity`: key order, white space and `1` against `1.0` change nothing.
 * A lone surrogate counts as U+FFFD, which is what UTF-8 makes of it.
 */
export function jobIdOf(identity: JobIdentity): string {
  return createHash('sha256')
    .update(canonicalJson(identity, (text) => text.toWellFormed()))
    .digest('hex');
}
