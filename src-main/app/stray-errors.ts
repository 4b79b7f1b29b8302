import type { EventEmitter } from 'node:events';

/**
 * Reports errors that no code caught, and keeps the program running: without listeners Electron shows an error box for each, and the server stands still
 * until someone closes it. A log whose reader is gone (`EPIPE`) is no error at all.
 */
export function reportStrayErrors(report: (error: unknown, text: string) => void, program: EventEmitter, outputs: readonly EventEmitter[]): void {
  program.on('uncaughtException', (error: unknown) => report(error, 'an error was not caught; the program goes on'));
  program.on('unhandledRejection', (reason: unknown) => report(reason, 'a rejection was not handled; the program goes on'));
  for (const output of outputs) {
    output.on('error', () => {
      // the output's reader is gone, so there is nowhere to report it
    });
  }
}
