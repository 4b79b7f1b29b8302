export interface EndSignals {
  /** From now on a signal waits for `close` and then ends the process. */
  closeWith(close: (signal: string) => Promise<void>): void;
}

/**
 * Catches the signals that ask this process to end. Process 1 of a container ignores them without a handler. Until `closeWith` is called, the first
 * signal ends the process immediately; a second one always does.
 */
export function catchEndSignals(): EndSignals {
  let close: (signal: string) => Promise<void> = async () => {};
  let isEnding = false;
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(status);
      isEnding = true;
      close(signal).then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
  return {
    closeWith: (closer) => {
      close = closer;
    },
  };
}
