import type { Engine } from '#main/engine/engine.ts';
import type { Clock } from '#main/lib/clock.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import type { MadeImage, RepeatedImage } from '#main/provenance/verify-image.ts';
import type { JobPage, JobQuery, JobRecord, Label, QueueAction, QueueSummary } from '#shared/domain/job-record.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { Clients, Labels, Sizes } from '#shared/protocol/http.ts';
import type { CreateJob, RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import type { SettingName, Settings, SettingsAnswer, SettingsChange } from '#shared/protocol/settings.ts';
import type { InputImages } from './input-images.ts';
import type { LockedFolder } from './store/open-data-folder.ts';

/** Pino's logger fits. */
export interface JobsLog {
  info(fields: Record<string, unknown>, text: string): void;
  warn(fields: Record<string, unknown>, text: string): void;
  error(fields: Record<string, unknown>, text: string): void;
}

export interface JobsLimits {
  /** Jobs in `processing` and `generated` together. */
  running: number;
  /** Jobs in `pending`; one more is refused with `queue_full`. */
  waiting: number;
  /** Free bytes that must be left on the disk after a job has written its files. */
  reserveBytes: number;
  /** How many statuses are kept for each client id, for `since`. */
  replayedStatuses: number;
}

export interface JobsOptions {
  /** Holds the database and the instance lock. Created where absent. */
  dataDir: string;
  /** Where the caller has opened and locked `dataDir` already. */
  lockedFolder?: LockedFolder;
  /** Holds the images unless the settings name another folder. Created where absent, unless it held images before. */
  outputsDir: string;
  /** Settings that the command line fixes. None by default. */
  fixedSettings?: readonly SettingName[];
  /** The device that it fixes, if any. */
  fixedDevice?: Settings['device'] | undefined;
  engine: Engine;
  registry: ModelRegistry;
  /** Images that jobs start from. */
  inputs: InputImages;
  /** Written into each recipe. */
  programVersion: string;
  log: JobsLog;
  clock?: Clock;
  limits?: Partial<JobsLimits>;
  /** True for client ids of the program's own window, whose jobs start before all others. None by default. */
  isOwnWindow?: (clientId: string) => boolean;
}

/** Who is on the line. Subscription in jobs is held per client id, or per connection for null. */
export interface Caller {
  /** 1 to 128 printable characters; checked by the server. */
  clientId: string | null;
  /** Left out by callers inside this process. */
  from?: ClientPlace;
  /** Whose turn its jobs take in the queue; each client id and each connection without one has its own by default. */
  requester?: string;
}

export type ClientPlace = 'this_machine' | 'network';

/**
 * One open connection. All its messages go through the `send` given to `connect`, in the contract's order. What throws, rejects or is refused is an
 * `AppError`, which the server turns into an `error` frame with the message's `request_id`.
 */
export interface JobsConnection {
  /**
   * Accepts a job, or joins the one with the same id. Never rejects: `pending` (or the present state) is sent after the commit, or `refuse` is called
   * with `queue_full`, `disk_full`, `folder_not_writable`, `model_not_installed`, `shutting_down` …, and then the promise resolves.
   * Several calls may run at once: they are answered in their order, and those that come together share a commit.
   */
  create(message: CreateJob, refuse: (reason: unknown) => void): Promise<void>;
  /** Sends the job's status as this caller sees it. Throws `unknown_job`. */
  getStatus(jobId: string, requestId: RequestId): void;
  /**
   * Ends this caller's subscription; the run stops when no other client has one. Sends `cancelled`.
   * Throws `unknown_job`, `not_cancellable` (another state), `job_of_others` (only others subscribed), `job_of_other_version`; rejects with `database_busy`.
   */
  cancel(jobId: string, requestId: RequestId): Promise<void>;
  /** Sends `client_jobs`: the newest 1,000 or `limit` jobs, older ones than the job `before`, and whether there are more. Throws `client_id_required`. */
  clientJobs(options: { limit?: number | undefined; before?: string | undefined; requestId?: RequestId }): void;
  /**
   * Changes what is sent and answers `watching`. `since` sends again what this client id was sent after that number:
   * statuses word for word, of progress the latest of each running job. Undefined options stay as they were.
   */
  watch(options: { since?: number | undefined; all?: boolean | undefined; previews?: boolean | undefined; requestId?: RequestId }): void;
  /** Ends the connection's subscriptions (a client id's stay); nothing is sent afterwards. */
  close(): void;
}

export interface Jobs {
  /** `send` must not throw and must not block; the server decides there what to do about slow readers. */
  connect(caller: Caller, send: (message: ServerMessage) => void): JobsConnection;

  list(query: JobQuery): JobPage;
  /** Null for an unknown id. */
  get(jobId: string): JobRecord | null;
  /** Rejects with `unknown_job`. */
  patch(jobId: string, change: { starred: boolean }): Promise<JobRecord>;
  /** Puts a job into an album or takes it out, or likewise a tag. Repeating it changes nothing. Rejects with `unknown_job`. */
  setLabel(jobId: string, label: Label, isSet: boolean): Promise<void>;
  labels(): Labels;
  /** Moves an ended job and its images to the bin, and notifies the clients that asked for it. Rejects with `unknown_job`, `job_not_ended`, `job_of_other_version`. */
  remove(jobId: string): Promise<JobRecord>;
  /** Rejects with `unknown_job`, `job_of_other_version`. */
  restore(jobId: string): Promise<JobRecord>;
  /** Deletes one job in the bin and its files for good. Rejects with `unknown_job`, also for a job outside the bin. */
  removePermanently(jobId: string): Promise<void>;
  /** Deletes the jobs in the bin for good. Those that could not be deleted stay there. */
  emptyBin(): Promise<{ removed: number; failed: { jobId: string; reason: unknown }[] }>;
  /** Called with the names of images, upscaled ones included, whose files were permanently deleted. */
  onImagesDeleted(listener: (filenames: string[]) => void): void;
  /** Rejects with `unknown_job` where `move` names a job that is not pending. */
  queue(action: QueueAction): Promise<QueueSummary>;
  summary(): QueueSummary;

  /** Clients with an id that were ever connected. */
  clients(): Clients;
  sizes(): Sizes;

  settings(): SettingsAnswer;
  /**
   * Resolves once the change is on the disk and holds; connections that watch all jobs get the names of the changed settings. A rejection has changed nothing:
   * `bad_param` (a fixed setting, a folder that cannot be used), or `disk_full`, `folder_not_writable`, `disk_failed` for the file of settings.
   */
  changeSettings(change: SettingsChange): Promise<SettingsAnswer>;

  /** The real path of an image of a job, or null. Any string may be passed. */
  imageFile(filename: string): Promise<string | null>;
  /** The same for an image in the bin. */
  binnedImageFile(filename: string): Promise<string | null>;
  /** The image with these pixels, see `findMadeImage`; `hashOf` is called for files from before hashes were recorded. */
  findMadeImage(pixelsSha256: string, jobId: string | null, hashOf: (path: string) => Promise<string>): Promise<MadeImage | null>;
  /** What is missing here to repeat an image, a sentence each. */
  repeatObstacles(recipe: Recipe): Promise<string[]>;
  /** See `repeatImage`. Waits for its turn on the device as every task does. */
  repeat(recipe: Recipe, signal: AbortSignal): Promise<RepeatedImage>;

  /**
   * `park` waits until images whose model work is over are written, stops everything else at the next step and leaves it `processing` or `generated`
   * for the next start; `now` does not wait for the engine. From now on new jobs are refused with `shutting_down`. The engine is not closed.
   */
  close(how: 'park' | 'now'): Promise<void>;
}
