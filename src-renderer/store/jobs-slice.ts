import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { ErrorMessage, JobStatusMessage, ServerMessage } from '#shared/protocol/messages.ts';
import { readStored } from '../client/stored.ts';
import { applyPreview, applyProgress, applyStatus, isOfWindow, isOver, type Job, type Jobs, jobFromRecord, newJob, withoutOldest } from './jobs.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

/** How many of the newest jobs stand beside the stage; the gallery has the rest. */
const SHOWN_JOBS = 60;

/** So many of the next jobs are asked for by id where the list of the newest does not have them. */
const LOOKED_UP = 20;

/** Where the window keeps which job is on the stage. */
export const STAGE_KEY = 'zimage.stage';

export interface JobsSlice {
  jobs: Jobs;
  /** Jobs asked for that the server has not answered yet, by `request_id`. */
  requests: Readonly<Record<string, TextToImageParams>>;
  /** The job on the stage. */
  selectedId: string | null;
  /** True while the stage goes along with the jobs that were asked for here; a choice by hand ends it. */
  isFollowing: boolean;
  submit(paramsOfEach: TextToImageParams[]): void;
  receive(message: ServerMessage): void;
  select(id: string | null): void;
  /** Puts a job on the stage, whatever its age. */
  openJob(id: string): void;
  cancel(id: string): void;
  cancelAll(): void;
  retry(id: string): void;
  /** Asks the server for the newest jobs: after a reload, a reconnect, or when a script's job turns up. */
  refreshJobs(): void;
  /** Takes over the server's order of the waiting jobs, and asks for those of the next ones whose params are not known yet. */
  takeOrder(ids: readonly string[]): void;
  /** Takes over what the server's list says; what only the live messages tell stays. */
  mergeJobs(jobs: Job[]): void;
}

export function createJobsSlice({ send, now, windowId, http, windowStorage }: StudioDeps): StateCreator<StudioState, [], [], JobsSlice> {
  let requestCount = 0;
  const nextRequestId = () => `${windowId}-${++requestCount}`;

  return (set, get) => {
    function update(id: string, change: (job: Job) => Job): void {
      const before = get().jobs;
      const job = before[id];
      if (job !== undefined) set({ jobs: { ...before, [id]: change(job) } });
    }

    function receiveStatus(message: JobStatusMessage): void {
      const { jobs, requests, selectedId, isFollowing } = get();
      const asked = message.request_id === undefined ? undefined : requests[message.request_id];
      const known = jobs[message.job_id] ?? newJob(message.job_id, now());
      const job = { ...applyStatus(known, message, now()), params: known.params ?? asked ?? null };
      const changed: Partial<StudioState> = { jobs: { ...jobs, [job.id]: job } };
      if (asked !== undefined) {
        const { [String(message.request_id)]: _answered, ...rest } = requests;
        changed.requests = rest;
        job.createdAtMs = now();
      }
      const onStage = selectedId === null ? undefined : jobs[selectedId];
      const stageIsFree = onStage === undefined || isOver(onStage);
      if (isFollowing && stageIsFree && (asked !== undefined || (job.status === 'processing' && job.params !== null))) changed.selectedId = job.id;
      if (job.failure?.code === 'disk_full') changed.isDiskFull = true;
      else if (job.status === 'pending' || job.status === 'generated') changed.isDiskFull = false;
      set(changed);
      if (job.params === null) get().refreshJobs();
      if (jobs[job.id]?.status !== job.status || known.isDeleted !== job.isDeleted) {
        get().jobChanged(job);
        get().refreshInfo();
      }
    }

    function receiveError(message: ErrorMessage): void {
      if (message.request_id !== undefined) {
        const { [String(message.request_id)]: _answered, ...rest } = get().requests;
        set({ requests: rest });
      }
      if (message.code === 'disk_full') set({ isDiskFull: true });
      else get().notify({ tone: 'error', code: message.code, message: message.message });
    }

    /** The job on the stage may be older than all that were listed, or be gone with another database. */
    async function findOnStage(): Promise<void> {
      const { selectedId, jobs } = get();
      if (selectedId === null || jobs[selectedId]?.params) return;
      try {
        get().mergeJobs([jobFromRecord(await http.job(selectedId))]);
      } catch (failure) {
        set({ selectedId: null });
        get().notifyFailure(failure);
      }
    }

    return {
      jobs: {},
      requests: {},
      selectedId: readStored(windowStorage, STAGE_KEY, z.string().nullable(), null),
      isFollowing: true,

      submit(paramsOfEach) {
        set({ isFollowing: true, selectedId: null });
        for (const params of paramsOfEach) {
          const request_id = nextRequestId();
          set({ requests: { ...get().requests, [request_id]: params } });
          send({ type: 'create_job', task_type: 'text_to_image', request_id, params });
        }
      },

      receive(message) {
        switch (message.type) {
          case 'job_status':
            return receiveStatus(message);
          case 'job_progress':
            return update(message.job_id, (job) => applyProgress(job, message));
          case 'job_preview':
            return update(message.job_id, (job) => applyPreview(job, message));
          case 'error':
            return receiveError(message);
          case 'job_starred':
            return get().starred(message.job_id, message.starred);
          case 'settings_changed':
            return get().refreshServerSettings();
          case 'model_progress':
            return get().receiveModel(message.model);
          case 'cuda_pack_progress':
            return get().receiveCudaPack(message.pack);
          case 'client_jobs':
          case 'watching':
            return;
        }
      },

      select(id) {
        set({ selectedId: id, isFollowing: false });
      },

      openJob(id) {
        get().select(id);
        get().show('make');
        void findOnStage();
      },

      cancel(id) {
        send({ type: 'cancel_job', job_id: id, request_id: nextRequestId() });
      },

      cancelAll() {
        // what another program has at work is its own to cancel; what waits can be cleared
        const running = Object.values(get().jobs).filter((job) => job.status === 'processing' && isOfWindow(job));
        for (const job of running) get().cancel(job.id);
        get().changeQueue({ action: 'clear' });
      },

      retry(id) {
        const params = get().jobs[id]?.params;
        if (params) get().submit([params]);
      },

      refreshJobs: oneAtATime(() =>
        http.listJobs({ limit: SHOWN_JOBS }).then(
          (page) => {
            get().mergeJobs(page.jobs.map(jobFromRecord));
            void findOnStage();
          },
          (failure: unknown) => get().notifyFailure(failure),
        ),
      ),

      takeOrder(ids) {
        const known = get().jobs;
        const moved = ids.flatMap((id, index) => {
          const job = known[id];
          return job === undefined || job.position === index + 1 ? [] : [[id, { ...job, position: index + 1 }] as const];
        });
        const jobs = { ...known, ...Object.fromEntries(moved) };
        if (moved.length > 0) set({ jobs });
        const unknown = ids.slice(0, LOOKED_UP).filter((id) => !jobs[id]?.params);
        if (unknown.length === 0) return;
        Promise.all(unknown.map((id) => http.job(id))).then((records) => get().mergeJobs(records.map(jobFromRecord)), get().notifyFailure);
      },

      mergeJobs(listed) {
        const known = get().jobs;
        const jobs = withoutOldest(known, get().selectedId);
        for (const job of listed) {
          const seen = known[job.id];
          jobs[job.id] =
            seen === undefined ? job : { ...job, progress: seen.progress, preview: seen.preview, finishAtMs: seen.finishAtMs, cached: seen.cached };
        }
        set({ jobs });
      },
    };
  };
}
