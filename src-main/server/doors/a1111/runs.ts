import type { JobProgressMessage } from '#shared/protocol/messages.ts';
import type { DoorRun } from '../door-run.ts';

/** A request that runs, as `progress` and `interrupt` see it. */
export interface A1111Run {
  /** `force_task_id`. */
  id: string | null;
  /** The access key or user that the client sent, or its address. */
  caller: string;
  startedMs: number;
  images: number;
  /** By image. */
  progress: Map<number, JobProgressMessage['progress']>;
  /** Base64 of the newest preview. */
  preview: string | null;
  isInterrupted: boolean;
  run: DoorRun;
}

/** The running requests of this door. Requests of other doors and of the window are not included, so this door cannot stop them. */
export class A1111Runs {
  readonly #runs = new Set<A1111Run>();

  add(run: A1111Run): () => void {
    this.#runs.add(run);
    return () => this.#runs.delete(run);
  }

  /** The runs with this id; without one, those of the caller. */
  find(id: string | null, caller: string): A1111Run[] {
    return [...this.#runs].filter((run) => (id === null ? run.caller === caller : run.id === id));
  }
}

/** What `GET /sdapi/v1/progress` answers. Idle is `progress` 0 with `job_count` 0. */
export function progressAnswer(run: A1111Run | undefined, nowMs: number, withImage: boolean) {
  const steps = [...(run?.progress.values() ?? [])];
  const done = steps.reduce((sum, { percentage }) => sum + percentage / 100, 0);
  const share = run === undefined ? 0 : Math.min(0.99, done / run.images);
  const current = steps.at(-1);
  const elapsedS = run === undefined ? 0 : (nowMs - run.startedMs) / 1000;
  return {
    progress: share,
    eta_relative: share === 0 ? 0 : (elapsedS / share) * (1 - share),
    state: {
      skipped: false,
      interrupted: run?.isInterrupted ?? false,
      job: run?.id ?? '',
      job_count: run?.images ?? 0,
      job_timestamp: '',
      job_no: Math.max(0, steps.length - 1),
      sampling_step: current?.current_step ?? 0,
      sampling_steps: current?.total_steps ?? 0,
    },
    current_image: withImage ? (run?.preview ?? null) : null,
    textinfo: current?.stage ?? null,
  };
}
