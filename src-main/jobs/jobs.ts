import type { Engine } from '#main/engine/engine.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import type { JobPage, JobQuery, JobRecord, QueueAction, QueueSummary } from '#shared/domain/job-record.ts';
import type { Clients, Sizes } from '#shared/protocol/http.ts';
import type { CreateJob, RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import type { SettingName, Settings, SettingsAnswer, SettingsChange } from '#shared/protocol/settings.ts';

/** Time as jobs see it; tests bring their own. */
export interface Clock {
  /** Unix time in milliseconds. */
  now(): number;
  /** Milliseconds that never go back, for durations. */
  monotonicMs(): number;
  /** Calls `task` once after `delayMs`; the returned function calls it off. */
  schedule(task: () => void, delayMs: number): () => void;
}

/** What jobs write to the log; pino's logger fits. */
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
  /** Free bytes that must be left on the disk beside what a job may write. */
  reserveBytes: number;
  /** How many statuses are kept for each client id to be sent again by `since`. */
  replayedStatuses: number;
}

export interface JobsOptions {
  /** Holds the database and the instance lock. Created where absent. */
  dataDir: string;
  /** Holds the pictures unless the settings name another folder. Created where absent. */
  outputsDir: string;
  /** Settings that the command line decided, and which can therefore not be changed: `outputs_folder` stays `outputsDir`. None by default. */
  fixedSettings?: readonly SettingName[];
  /** The device that it decided, if it did. */
  fixedDevice?: Settings['device'] | undefined;
  engine: Engine;
  registry: ModelRegistry;
  /** Written into each recipe. */
  programVersion: string;
  log: JobsLog;
  clock?: Clock;
  limits?: Partial<JobsLimits>;
  /** True for client ids whose jobs start before everybody else's: the program's own window. None by default. */
  isOwnWindow?: (clientId: string) => boolean;
}

/** Who is on the line. Subscription in jobs is held per client id, or per connection for null. */
export interface Caller {
  /** 1 to 128 printable characters; checked by the server. */
  clientId: string | null;
  /** Left out by a caller inside of this process. */
  from?: ClientPlace;
}

export type ClientPlace = 'this_machine' | 'network';

/**
 * One open connection. Everything that it has to hear goes through the `send` given to `connect`, in the contract's order.
 * What throws or is refused is an `AppError`, which the server turns into an `error` frame with the message's `request_id`.
 */
export interface JobsConnection {
  /**
   * Accepts a job, or joins the one with the same id. Never rejects: `pending` (or the present state) is sent after the commit, or `refuse` is called
   * with `queue_full`, `disk_full`, `folder_not_writable`, `model_not_installed`, `shutting_down` …, and then the promise resolves.
   * Several may be under way at once: they are answered in their order, and those that come together share a commit.
   */
  create(message: CreateJob, refuse: (reason: unknown) => void): Promise<void>;
  /** Sends the job's status as this caller sees it. Throws `unknown_job`. */
  getStatus(jobId: string, requestId: RequestId): void;
  /**
   * Gives up this caller's interest; the run stops when nobody else has any. Sends `cancelled`.
   * Throws `unknown_job`, `not_cancellable` (another state), `job_of_others` (no interest of one's own, somebody else's there).
   */
  cancel(jobId: string, requestId: RequestId): void;
  /** Sends `client_jobs`. Throws `client_id_required`. */
  clientJobs(requestId: RequestId): void;
  /**
   * Changes what is sent and answers `watching`. `since` sends again what this client id was told after that number:
   * statuses word for word, of progress the latest of each running job. What is left undefined stays as it was.
   */
  watch(options: { since?: number | undefined; all?: boolean | undefined; previews?: boolean | undefined; requestId?: RequestId }): void;
  /** Ends the connection's interests (a client id's stay); nothing is sent afterwards. */
  close(): void;
}

export interface Jobs {
  /** `send` must not throw and must not block; the server decides there what to do about slow readers. */
  connect(caller: Caller, send: (message: ServerMessage) => void): JobsConnection;

  list(query: JobQuery): JobPage;
  /** Null for an unknown id. */
  get(jobId: string): JobRecord | null;
  /** Throws `unknown_job`. */
  patch(jobId: string, change: { starred: boolean }): JobRecord;
  /** Moves an ended job and its pictures to the bin and tells the clients that asked for it. Throws `unknown_job`, `job_not_ended`. */
  remove(jobId: string): JobRecord;
  /** Throws `unknown_job`. */
  restore(jobId: string): JobRecord;
  /** Deletes one job in the bin and its files. Throws `unknown_job`, also for a job outside the bin. */
  removePermanently(jobId: string): void;
  /** Deletes what lies in the bin for good. Returns how many jobs that were. */
  emptyBin(): number;
  /** Called with the names of pictures, enlargements included, whose files were deleted for good. */
  onPicturesDeleted(listener: (filenames: string[]) => void): void;
  /** Throws `unknown_job` where `move` names a job that does not wait. */
  queue(action: QueueAction): QueueSummary;
  summary(): QueueSummary;

  /** Clients with an id that were ever connected. */
  clients(): Clients;
  sizes(): Sizes;

  settings(): SettingsAnswer;
  /**
   * Resolves once the change is on the disk and holds; whoever watches all jobs is told which settings changed. A rejection has changed nothing:
   * `bad_param` (a fixed setting, a folder that cannot be used), or `disk_full`, `folder_not_writable`, `disk_failed` for the file of settings.
   */
  changeSettings(change: SettingsChange): Promise<SettingsAnswer>;

  /** The real path of a published picture inside the outputs folder, or null. Any string may be asked for. */
  imageFile(filename: string): Promise<string | null>;
  /** The same for an image in the bin. */
  binnedImageFile(filename: string): Promise<string | null>;

  /**
   * `park` lets a picture whose model work is over be written, stops everything else at the next step and leaves it `processing` or `generated`
   * for the next start; `now` does not wait for the engine. New jobs are refused with `shutting_down` from here on. The engine is not closed.
   */
  close(how: 'park' | 'now'): Promise<void>;
}
