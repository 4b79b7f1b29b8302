export interface QuitSequenceOptions {
  /** Asks about unfinished jobs; resolves with true to quit. Resolves at once without any. */
  confirm(): Promise<boolean>;
  /** Lets the window close. Called once, when the way out is certain. */
  begin(): void;
  /** Parks the jobs and closes the server. */
  close(): Promise<void>;
  /** Installs an update that is ready; `restart` starts the new version. */
  install(restart: boolean): Promise<void>;
  /** Ends the process: in order if everything is closed, else at once. */
  exit(isClosed: boolean): void;
  report(error: unknown, text: string): void;
  deadlineMs: number;
}

export interface QuitSequence {
  /** A menu, the tray or a closed window: asks first. */
  byUser(): void;
  /** A signal or the machine's shutdown: no question, no installation. A second one exits at once. */
  bySignal(): void;
  /** Installs a ready version and starts it, without a question. */
  forUpdate(): void;
}

/**
 * The one way out: confirm, close, install, exit. It always ends: closing has a deadline, after which the process exits and the next start recovers the jobs,
 * and an error on the way is reported and does not stop it.
 */
export function createQuitSequence({ confirm, begin, close, install, exit, report, deadlineMs }: QuitSequenceOptions): QuitSequence {
  let phase: 'open' | 'asking' | 'closing' | 'installing' = 'open';

  const closed = async (): Promise<boolean> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        report(null, `the server did not close within ${deadlineMs / 1000} s; the program exits now and its jobs go on at the next start`);
        resolve(false);
      }, deadlineMs);
    });
    try {
      return await Promise.race([close().then(() => true), late]);
    } catch (thrown) {
      report(thrown, 'the server did not close cleanly');
      return false;
    } finally {
      clearTimeout(timer);
    }
  };

  const end = async (why: 'user' | 'signal' | 'update'): Promise<void> => {
    phase = 'closing';
    begin();
    const isClosed = await closed();
    // not beside a server that still writes
    if (isClosed && why !== 'signal') {
      phase = 'installing';
      await install(why === 'update').catch((thrown: unknown) => report(thrown, 'the update could not be installed'));
    }
    exit(isClosed);
  };

  const askAndEnd = async (): Promise<void> => {
    phase = 'asking';
    const isConfirmed = await confirm().catch((thrown: unknown) => {
      report(thrown, 'the question before quitting could not be shown');
      return false;
    });
    // a signal does not wait for the answer
    if (phase !== 'asking') return;
    phase = 'open';
    if (isConfirmed) await end('user');
  };

  const run = (work: Promise<void>): void => {
    work.catch((thrown: unknown) => {
      report(thrown, 'the program could not quit in order and exits now');
      exit(false);
    });
  };

  return {
    byUser: () => {
      if (phase === 'open') run(askAndEnd());
    },
    bySignal: () => {
      if (phase === 'open' || phase === 'asking') run(end('signal'));
      else if (phase === 'closing') exit(false);
      // an installer that is cut short could leave no version at all
    },
    forUpdate: () => {
      if (phase === 'open') run(end('update'));
    },
  };
}
