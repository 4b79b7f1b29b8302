import { createSpeed } from './speed.ts';

export type Outcome = { type: 'finished' } | { type: 'stopped' } | { type: 'failed'; error: unknown };

/** Progress is reported at most this often. */
const REPORT_EVERY_MS = 250;

/** A long task on files with its progress, its speed and a way to stop it. */
export class Transfer {
  doneBytes = 0;
  totalBytes = 0;
  readonly #task: (transfer: Transfer) => Promise<void>;
  readonly #abort = new AbortController();
  readonly #speed = createSpeed();
  readonly #report: () => void;
  #reportedAt = performance.now();
  #outcome: Promise<Outcome> | null = null;

  constructor(task: (transfer: Transfer) => Promise<void>, report: () => void) {
    this.#task = task;
    this.#report = report;
  }

  /** Runs the task; never rejects. */
  run(): Promise<Outcome> {
    this.#outcome ??= this.#task(this).then(
      (): Outcome => ({ type: 'finished' }),
      (error: unknown): Outcome => (this.signal.aborted ? { type: 'stopped' } : { type: 'failed', error }),
    );
    return this.#outcome;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  progress(doneBytes: number, totalBytes = this.totalBytes): void {
    this.doneBytes = doneBytes;
    this.totalBytes = totalBytes;
    this.#speed.count(doneBytes);
    if (performance.now() - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = performance.now();
    this.#report();
  }

  /** Aborts the task and waits until it has ended. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('stopped'));
    await this.#outcome;
  }

  /** As the API has it. */
  toWire(): { bytes_done: number; bytes_per_second: number | null; seconds_left: number | null } {
    const rate = this.#speed.bytesPerSecond();
    const left = this.totalBytes - this.doneBytes;
    return { bytes_done: this.doneBytes, bytes_per_second: rate, seconds_left: rate === null || rate <= 0 ? null : Math.ceil(left / rate) };
  }
}
