import type { ServerMessage } from '#shared/protocol/messages.ts';

export interface LastPicture {
  jobId: string;
  prompt: string;
}

/** The part of the server's log that the shell writes to. */
export interface StudioLog {
  error(fields: Record<string, unknown>, text: string): void;
}

/** The running server as the desktop shell sees it: its own, or one that ran on the same data folder before it came. */
export interface HostedStudio {
  log: StudioLog;
  /** Where this machine reaches it: `http://127.0.0.1:8004`. */
  origin: string;
  /** The cookie by which the window presents the access key. */
  keyCookie(): { name: string; value: string };
  /** The port that was asked for, where another program has it and a free one was taken instead. */
  takenPort: number | null;
  /** True where another process runs the server: it is neither parked nor ended from here. */
  isAttached: boolean;
  /** Of an attached one: it ended, for good as far as can be told. Once. */
  onEnd(listener: () => void): void;
  /** Every message about every job, from now on. */
  watchJobs(listener: (message: ServerMessage) => void): void;
  /** The real path of a published picture, or null. */
  imageFile(filename: string): Promise<string | null>;
  isPaused(): boolean;
  setPaused(isPaused: boolean): void;
  /** Newest first. */
  lastPictures(count: number): LastPicture[];
  /** Ids of the jobs that run or wait at the start. */
  unfinishedJobs(): string[];
  /** Parks what runs, for the next start, and closes every door; an attached one is only left. Resolves when the process may end. */
  close(): Promise<void>;
}

/** How the shell wants the server to be started. */
export interface HostedStudioChoices {
  host: string;
  dataDir: string;
  /** The arguments of this start; the options of the server among them count. */
  argv: readonly string[];
}
