import type { ServerMessage } from '#shared/protocol/messages.ts';

/** The running server as the desktop shell sees it. */
export interface HostedStudio {
  /** Where this machine reaches it: `http://127.0.0.1:8004`. */
  origin: string;
  /** The port that was asked for, where another program has it and a free one was taken instead. */
  takenPort: number | null;
  /** Every message about every job, from now on. */
  watchJobs(listener: (message: ServerMessage) => void): void;
  /** The real path of a published picture, or null. */
  imageFile(filename: string): Promise<string | null>;
  isPaused(): boolean;
  setPaused(isPaused: boolean): void;
  /** Newest first. */
  lastPictures(count: number): Array<{ jobId: string; prompt: string }>;
  /** Ids of the jobs that run or wait now. */
  unfinishedJobs(): string[];
  /** Parks what runs, for the next start, and closes every door. Resolves when the process may end. */
  close(): Promise<void>;
}

/** How the shell wants the server to be started. */
export interface HostedStudioChoices {
  host: string;
  dataDir: string;
  /** The arguments of this start; the options of the server among them count. */
  argv: readonly string[];
}
