import { type Logger, pino, stdTimeFunctions } from 'pino';
import { escapeControls } from '#main/lib/escape-controls.ts';
import { reportTo } from '#main/lib/report-to.ts';
import { RecentLog } from './recent-log.ts';

export type Log = Logger & {
  /** The last lines that were written. */
  readonly recent: RecentLog;
};

/** Where finished lines go. */
export interface LogTarget {
  write(text: string): void;
  isTTY?: boolean;
}

/**
 * JSON lines, or one readable line an entry on a terminal. No control character reaches the target, nor does a key: whatever follows `token=`,
 * `Bearer` or stands in a cookie is hidden. Standard output is left to the program's own answers, so logs go to standard error.
 */
export function createLog(level: string, target: LogTarget = reportTo(process.stderr)): Log {
  const format = target.isTTY === true ? readable : (line: string): string => line;
  const recent = new RecentLog();
  const redact = { paths: ['headers.authorization', 'headers.cookie', 'token', 'key', '*.token', '*.key'], censor: '[hidden]' };
  const write = (line: string): void => {
    const text = hideKeys(line.trimEnd());
    recent.add(escapeControls(text));
    target.write(`${escapeControls(format(text))}\n`);
  };
  return Object.assign(pino({ level, redact, timestamp: stdTimeFunctions.isoTime, base: null }, { write }), { recent });
}

/** Hides what follows `token=`, `Bearer` and a cookie's name. */
export function hideKeys(text: string): string {
  return text.replaceAll(/((?:token|zimage_key)=|bearer )[^\s"&;\\]+/gi, '$1[hidden]');
}

function readable(line: string): string {
  const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const name = pino.levels.labels[Number(level)] ?? String(level);
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 23)} ${name.padEnd(5)} ${String(msg ?? '')}${fields.join('')}`;
}
