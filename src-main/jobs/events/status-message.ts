import type { JobState } from '#shared/domain/job.ts';
import type { JobStatusMessage, WireJobResult } from '#shared/protocol/messages.ts';
import type { StoredJob } from '../store/stored-job.ts';

/** A `job_status` before it has its `request_id` and `seq`. */
export type StatusDraft = Omit<JobStatusMessage, 'request_id' | 'seq'>;

/** The name of the images' folder in the contract, wherever the folder is. */
const OUTPUTS = 'outputs';

/** A job's state in the words of the contract. */
export function statusDraft({ jobId, state, checkpoint }: Pick<StoredJob, 'jobId' | 'state' | 'checkpoint'>): StatusDraft {
  const result = wireResult(state);
  const setbacks = setbacksOf(state);
  return {
    type: 'job_status',
    job_id: jobId,
    status: state.status,
    ...(result === null ? {} : { result }),
    ...(state.status === 'failed' ? { error: state.error.message, code: state.error.code } : {}),
    ...(checkpoint === null ? {} : { checkpoint: checkpoint.name }),
    ...(setbacks === undefined ? {} : { setbacks }),
  };
}

function setbacksOf(state: JobState): string[] | undefined {
  if (state.status === 'generated') return state.setbacks;
  return state.status === 'completed' ? state.result.setbacks : undefined;
}

/** Null for states without an image. */
export function wireResult(state: JobState): WireJobResult | null {
  switch (state.status) {
    case 'generated':
      return { filename: state.filename, local_path: `${OUTPUTS}/${state.filename}` };
    case 'completed': {
      const { filename, upscaledFilename } = state.result;
      return { filename, path: `${OUTPUTS}/${filename}`, ...(upscaledFilename === undefined ? {} : { upscaled_filename: upscaledFilename }) };
    }
    case 'failed':
      return state.filename === undefined ? null : { filename: state.filename, local_path: `${OUTPUTS}/${state.filename}` };
    default:
      return null;
  }
}
