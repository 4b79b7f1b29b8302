import { createHash } from 'node:crypto';
import type { TextToImageParams } from '#shared/domain/job.ts';

/** Everything that determines a job's images. */
export interface JobIdentity {
  taskType: 'text_to_image';
  params: TextToImageParams;
  checkpointIdentity: string;
  upscalerIdentity: string;
}

/** SHA-256 (64 hex digits) of the canonical JSON of `identity`: key order, white space and `1` against `1.0` change nothing. */
export function jobIdOf(identity: JobIdentity): string {
  return createHash('sha256').update(canonicalJson(identity)).digest('hex');
}

/** JSON with sorted keys and numbers as ECMAScript writes them. A lone surrogate counts as U+FFFD, which is what UTF-8 makes of it. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`;
  }
  return JSON.stringify(typeof value === 'string' ? value.toWellFormed() : value);
}
