import { type Logger, pino, stdTimeFunctions } from 'pino';

export type Log = Logger;

/** Where finished lines go; `process.stderr` fits. */
export interface LogTarget {
  write(text: string): void;
  isTTY?: boolean;
}

/**
 * JSON lines, or one readable line an entry on a terminal. No control character reaches the target, nor does a key: whatever follows `token=`,
 * `Bearer` or stands in a cookie is hidden. Standard output is left to the program's own answers, so logs go to standard error.
 */
export function createLog(level: string, target: LogTarget = process.stderr): Log {
  const format = target.isTTY === true ? readable : (line: string): string => line;
  const redact = { paths: ['headers.authorization', 'headers.cookie', 'token', 'key', '*.token', '*.key'], censor: '[hidden]' };
  return pino(
    { level, redact, timestamp: stdTimeFunctions.isoTime, base: null },
    { write: (line) => target.write(`${escapeControls(hideKeys(format(line.trimEnd())))}\n`) },
  );
}

/** Hides what follows `token=`, `Bearer` and a cookie's name. */
export function hideKeys(text: string): string {
  return text.replaceAll(/((?:token|zimage_key)=|bearer )[^\s"&;\\]+/gi, '$1[hidden]');
}

/** Control characters, and the marks that turn the direction of writing, as `\u` escapes: a log line is one line and reads as it is stored. */
function escapeControls(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function readable(line: string): string {
  const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const name = pino.levels.labels[Number(level)] ?? String(level);
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 23)} ${name.padEnd(5)} ${String(msg ?? '')}${fields.join('')}`;
}
