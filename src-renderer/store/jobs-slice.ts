import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { ErrorMessage, JobStatusMessage } from '#shared/protocol/messages.ts';
import { createJobMessage } from '../client/create-job.ts';
import { readStored } from '../client/stored.ts';
import {
  applyPreview,
  applyProgress,
  applyStatus,
  isCancellable,
  isKnown,
  type Job,
  jobFromRecord,
  neighbourOf,
  newJob,
  shouldTakeStage,
  withoutOldest,
} from './jobs.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { JobsSlice, StudioDeps, StudioState } from './state.ts';

/** Number of the newest jobs that are loaded for the queue panel; the gallery has all of them. */
const LISTED_JOBS = 60;

/** How many of the next jobs are loaded one by one if the list above does not include them. */
const MAX_LOOKUPS = 20;

/** Largest page of the job list. */
const MAX_PAGE_SIZE = 500;

/** The server accepts 500 messages at once and 50 a second after that. */
const MAX_BURST = 400;
const PAUSE_MS = 10_000;

export const STAGE_KEY = 'zimage.stage';

type Needs = JobsSlice &
  Pick<
    StudioState,
    | 'isDiskFull'
    | 'show'
    | 'notify'
    | 'notifyFailure'
    | 'jobChanged'
    | 'starred'
    | 'changeQueue'
    | 'refreshInfo'
    | 'refreshServerSettings'
    | 'receiveModel'
    | 'receiveCudaPack'
  >;

type Deps = Pick<StudioDeps, 'send' | 'withdraw' | 'now' | 'pause' | 'clientId' | 'windowId' | 'http' | 'windowStorage' | 'randomSeed'>;

export function createJobsSlice({
  send,
  withdraw,
  now,
  pause,
  clientId,
  windowId,
  http,
  windowStorage,
  randomSeed,
}: Deps): StateCreator<Needs, [], [], JobsSlice> {
  let requestCount = 0;
  const nextRequestId = () => `${windowId}-${++requestCount}`;
  const isMine = (job: Job) => job.clients.includes(clientId);

  return (set, get) => {
    function update(id: string, change: (job: Job) => Job): void {
      const before = get().jobs;
      const job = before[id];
      if (job === undefined) return;
      const changed = change(job);
      set({ jobs: { ...before, [id]: changed }, ...stageFor(changed) });
    }

    /** Moves the stage to `job` if this window follows its jobs and the stage has less to show. */
    function stageFor(job: Job): Partial<Pick<JobsSlice, 'selectedId'>> {
      const { isFollowing, selectedId, jobs } = get();
      const onStage = selectedId === null ? undefined : jobs[selectedId];
      return isFollowing && job.id !== selectedId && isMine(job) && shouldTakeStage(job, onStage) ? { selectedId: job.id } : {};
    }

    function withoutRequest(requestId: string): JobsSlice['requests'] {
      const { [requestId]: _answered, ...rest } = get().requests;
      return rest;
    }

    function receiveStatus(message: JobStatusMessage): void {
      const { jobs, requests } = get();
      const requestId = message.request_id === undefined ? undefined : String(message.request_id);
      const asked = requestId === undefined ? undefined : requests[requestId];
      const known = jobs[message.job_id] ?? newJob(message.job_id, now());
      const job = { ...applyStatus(known, message, now()), params: known.params ?? asked ?? null };
      if (asked !== undefined) {
        set({ batch: get().batch.map((one) => (one.requestId === requestId ? { ...one, jobId: job.id } : one)) });
        job.createdAtMs = now();
        if (!isMine(job)) job.clients = [...job.clients, clientId];
      }
      set({ jobs: { ...jobs, [job.id]: job }, ...(asked === undefined ? {} : { requests: withoutRequest(String(requestId)) }), ...stageFor(job) });
      if (job.isDeleted && get().selectedId === job.id) set({ selectedId: neighbourOf(job.id, get().jobs) });
      if (job.failure?.code === 'disk_full') set({ isDiskFull: true });
      else if (job.status === 'pending' || job.status === 'generated') set({ isDiskFull: false });
      if (!isKnown(job)) get().refreshJobs();
      if (jobs[job.id]?.status !== job.status || known.isDeleted !== job.isDeleted) {
        get().jobChanged(job);
        get().refreshInfo();
      }
    }

    function receiveError(message: ErrorMessage): void {
      if (message.request_id !== undefined) {
        const refused = String(message.request_id);
        set({ requests: withoutRequest(refused), batch: get().batch.filter(({ requestId, jobId }) => requestId !== refused || jobId !== null) });
      }
      if (message.code === 'disk_full') set({ isDiskFull: true });
      else get().notify({ tone: 'error', code: message.code, message: message.message });
    }

    /** The job on the stage may be older than all listed ones, or missing from a new database. */
    async function findOnStage(): Promise<void> {
      const { selectedId, jobs } = get();
      const onStage = selectedId === null ? undefined : jobs[selectedId];
      if (selectedId === null || (onStage !== undefined && isKnown(onStage))) return;
      try {
        get().mergeJobs([jobFromRecord(await http.job(selectedId))]);
      } catch (failure) {
        set({ selectedId: null });
        get().notifyFailure(failure);
      }
    }

    /** Jobs of this browser that can be cancelled, in the order of the queue. The server knows more of them than the window does. */
    async function findCancellable(): Promise<Job[]> {
      const found = new Map(Object.values(get().jobs).flatMap((job) => (isMine(job) && isCancellable(job) ? [[job.id, job] as const] : [])));
      let before: number | null = null;
      do {
        const page = await http.listJobs({ client: clientId, status: 'pending', limit: MAX_PAGE_SIZE, ...(before === null ? {} : { before }) });
        for (const record of page.jobs) if (!isKnown(found.get(record.job_id) ?? newJob(record.job_id, 0))) found.set(record.job_id, jobFromRecord(record));
        before = page.next;
      } while (before !== null);
      return [...found.values()].sort((a, b) => (a.position ?? 0) - (b.position ?? 0));
    }

    async function cancelAllOfMine(): Promise<void> {
      for (const requestId of Object.keys(get().requests)) get().withdrawRequest(requestId);
      const cancelled = await findCancellable();
      for (const [index, job] of cancelled.entries()) {
        if (index > 0 && index % MAX_BURST === 0) await pause(PAUSE_MS);
        get().cancel(job.id);
      }
      const params = cancelled.flatMap((job) => job.params ?? []);
      const upscales = cancelled.flatMap((job) => job.upscaleParams ?? []);
      const undo = () => {
        if (params.length > 0) get().submit(params);
        for (const upscale of upscales) get().upscale(upscale);
      };
      const count = params.length + upscales.length;
      if (count > 0) get().notify({ tone: 'undo', text: 'cancelled', count, undo });
    }

    return {
      jobs: {},
      clientId,
      requests: {},
      selectedId: readStored(windowStorage, STAGE_KEY, z.string().nullable(), null),
      isFollowing: true,
      batch: [],
      isBatchShown: false,

      showBatch() {
        set({ isBatchShown: true });
      },

      submit(paramsOfEach) {
        const asked = paramsOfEach.map((params) => ({ requestId: nextRequestId(), params }));
        const batch = asked.map(({ requestId }) => ({ requestId, jobId: null }));
        set({ isFollowing: true, selectedId: null, batch, isBatchShown: batch.length > 1 });
        for (const { requestId, params } of asked) {
          set({ requests: { ...get().requests, [requestId]: params } });
          send(createJobMessage(params, requestId));
        }
      },

      upscale({ image, scale, upscaler }) {
        set({ isFollowing: true, selectedId: null });
        const params = { image, scale, ...(upscaler === undefined ? {} : { upscaler }) };
        send({ type: 'create_job', task_type: 'upscale', request_id: nextRequestId(), params });
      },

      withdrawRequest(requestId) {
        withdraw(requestId);
        set({ requests: withoutRequest(requestId), batch: get().batch.filter((one) => one.requestId !== requestId) });
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
        set({ selectedId: id, isFollowing: false, isBatchShown: false });
      },

      openJob(id) {
        get().select(id);
        get().show('make');
        void findOnStage();
      },

      cancel(id) {
        send({ type: 'cancel_job', job_id: id, request_id: nextRequestId() });
      },

      cancelMine() {
        cancelAllOfMine().catch(get().notifyFailure);
      },

      cancelEverything() {
        // own jobs first, so that their undo knows them
        cancelAllOfMine().then(() => get().changeQueue({ action: 'clear' }), get().notifyFailure);
      },

      vary(id) {
        const params = get().jobs[id]?.params;
        if (params) get().submit([{ ...params, seed: randomSeed() }]);
      },

      retry(id) {
        const job = get().jobs[id];
        if (job?.params) get().submit([job.params]);
        if (job?.upscaleParams) get().upscale(job.upscaleParams);
      },

      refreshJobs: oneAtATime(() =>
        http.listJobs({ limit: LISTED_JOBS }).then(
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
        const unknown = ids.slice(0, MAX_LOOKUPS).filter((id) => {
          const job = jobs[id];
          return job === undefined || !isKnown(job);
        });
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
