import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Jobs } from '#main/jobs/jobs.ts';
import type { CreateJob, JobProgressMessage } from '#shared/protocol/messages.ts';
import { limitedAddress } from '../../access/access-hook.ts';
import { callerOf } from '../caller.ts';
import { onDisconnect } from '../disconnect.ts';
import { type DoorRun, startDoorRun } from '../door-run.ts';

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

interface RunRequest {
  request: FastifyRequest;
  reply: FastifyReply;
  jobs: Jobs;
  works: readonly CreateJob[];
  id: string | null;
}

/** The running requests of this door. Requests of other doors and of the window are not included, so this door cannot stop them. */
export class A1111Runs {
  readonly #runs = new Set<A1111Run>();

  /** Asks for the jobs of a request and follows them until they end or the client goes away. */
  start({ request, reply, jobs, works, id }: RunRequest): A1111Run {
    const run = startDoorRun({
      jobs,
      caller: { from: limitedAddress(request) === null ? 'this_machine' : 'network', requester: `a1111:${callerOf(request)}` },
      works,
      until: 'generated',
      onProgress: (at, progress) => entry.progress.set(at, progress),
      onPreview: (_, { data }) => {
        entry.preview = data;
      },
    });
    const entry: A1111Run = {
      id,
      caller: callerOf(request),
      startedMs: performance.now(),
      images: works.length,
      progress: new Map(),
      preview: null,
      isInterrupted: false,
      run,
    };
    this.#runs.add(entry);
    const remove = (): boolean => this.#runs.delete(entry);
    void run.images.then(remove, remove);
    onDisconnect(request, reply, run.cancel);
    return entry;
  }

  /** The runs with this id; without one, those of the caller. */
  find(id: string | null, request: FastifyRequest): A1111Run[] {
    const caller = callerOf(request);
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
