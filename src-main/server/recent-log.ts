import { escapeControls } from '#main/lib/escape-controls.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { type LogLine, type LogPage, logLevelSchema } from '#shared/protocol/http.ts';

const LINES_KEPT = 2000;

/** Which of the kept lines to return: see `logQuerySchema`. */
export interface LogChoice {
  level?: LogLine['level'] | undefined;
  since?: number | undefined;
  limit: number;
}

/** The last lines of the log, as JSON text without control characters and keys. */
export class RecentLog {
  readonly #lines: { number: number; text: string }[] = [];
  #newest = 0;

  add(text: string): void {
    this.#lines.push({ number: ++this.#newest, text });
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }

  page({ level = 'trace', since = 0, limit }: LogChoice): LogPage {
    const { options } = logLevelSchema;
    const wanted = new Set(options.slice(options.indexOf(level)));
    const lines = this.#lines.filter(({ number }) => number > since).map(({ number, text }) => parseLine(number, text));
    return { lines: lines.filter((line) => wanted.has(line.level)).slice(-limit), newest: this.#newest };
  }
}

/** Pino's level is ten times the place in the list of names, from 10 on. Strings stay escaped as they were written. */
function parseLine(number: number, text: string): LogLine {
  const line: unknown = JSON.parse(text, (_key, value: unknown) => (typeof value === 'string' ? escapeControls(value) : value));
  const { time, level, msg, ...fields } = isRecord(line) ? line : {};
  return { number, time: String(time), level: logLevelSchema.options[Number(level) / 10 - 1] ?? 'info', text: String(msg ?? ''), fields };
}
