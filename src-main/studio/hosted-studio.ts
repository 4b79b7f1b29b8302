import type { ServerMessage } from '#shared/protocol/messages.ts';

export type { EngineProcess } from '#main/engine/engine-process.ts';

export interface RecentImage {
  jobId: string;
  prompt: string;
}

/** The part of the server's log that the shell writes to. */
export interface StudioLog {
  error(fields: Record<string, unknown>, text: string): void;
}

/** The running server as the desktop shell sees it: its own, or one that already ran on the same data folder. */
export interface HostedStudio {
  log: StudioLog;
  /** Where this machine reaches it: `http://127.0.0.1:8004`. */
  origin: string;
  /** The cookie by which the window presents the access key. */
  keyCookie(): { name: string; value: string };
  /** The requested port if another program had it and a free one was taken instead. */
  takenPort: number | null;
  /** True where another process runs the server: closing leaves it running. */
  isAttached: boolean;
  /** An attached server has ended and does not answer any more. Called at most once. */
  onEnd(listener: () => void): void;
  /** Every message about every job, from now on. */
  watchJobs(listener: (message: ServerMessage) => void): void;
  /** The real path of a finished image in the folder of images or an earlier one, or null. */
  imageFile(filename: string): Promise<string | null>;
  isPaused(): boolean;
  setPaused(isPaused: boolean): void;
  /** Newest first. */
  recentImages(count: number): RecentImage[];
  /** Ids of the jobs that are unfinished at the start. */
  unfinishedJobs(): string[];
  /** Parks running jobs for the next start and closes the server; an attached one keeps running. Resolves when the process may end. */
  close(): Promise<void>;
}

/** How the shell starts the server. */
export interface HostedStudioChoices {
  host: string;
  dataDir: string;
  /** The arguments of this start, server options among them. */
  argv: readonly string[];
}
