import { constants, openSync, writeSync } from 'node:fs';
import { errnoCode } from './errno-code.ts';

/** Takes texts for people: log lines, progress, results. */
export interface Report {
  write(text: string): void;
  readonly isTTY: boolean;
}

/** A reader that is this far behind loses what comes next. */
const BACKLOG_BYTES = 1024 * 1024;
const RETRY_MS = 100;

/**
 * Writes to standard output or error without ever throwing or waiting. A reader that is gone (EPIPE, EIO), a full disk behind a redirection and a terminal
 * that is stopped cost lines of text and nothing else.
 */
export function reportTo(stream: NodeJS.WriteStream & { fd: number }): Report {
  // without a listener the error event would end the process
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  const terminal = stream.isTTY ? openTerminal(stream.fd) : null;
  const write = (text: string): void => {
    if (stream.writableLength > BACKLOG_BYTES) return;
    try {
      stream.write(text);
    } catch {
      // a file refuses synchronously, as on a full disk
    }
  };
  return { write: terminal === null ? write : (text) => terminal(Buffer.from(text)), isTTY: stream.isTTY === true };
}

function ignore(): void {}

/** Node writes to terminals synchronously and would stand still with one that is stopped. Null where it cannot be opened a second time, without waiting. */
function openTerminal(fd: number): ((bytes: Buffer) => void) | null {
  let terminal: number;
  try {
    terminal = openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
  let backlog = Buffer.alloc(0);
  let retry: NodeJS.Timeout | null = null;
  const flush = (): void => {
    retry = null;
    try {
      while (backlog.length > 0) backlog = backlog.subarray(writeSync(terminal, backlog));
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN') backlog = Buffer.alloc(0);
      else retry = setTimeout(flush, RETRY_MS).unref();
    }
  };
  return (bytes) => {
    if (backlog.length > BACKLOG_BYTES) return;
    backlog = Buffer.concat([backlog, bytes]);
    if (retry === null) flush();
  };
}
