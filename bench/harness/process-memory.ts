import { readFileSync, writeFileSync } from 'node:fs';

/** Memory of a process in bytes, from Linux's /proc. NaN elsewhere, which no limit accepts. */

/** Largest resident size since the start or the last `resetPeak`. */
export function peakBytes(pid: number): number {
  return bytesIn(`/proc/${pid}/status`, 'VmHWM');
}

/** Source: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export function resetPeak(pid: number): void {
  if (process.platform === 'linux') writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Resident size, with pages that several processes share divided among them, so that sizes can be added. */
export function proportionalBytes(pid: number): number {
  return bytesIn(`/proc/${pid}/smaps_rollup`, 'Pss');
}

/** Resident size without mapped files: what the system cannot take back when memory is short. */
export function anonymousBytes(pid: number): number {
  return bytesIn(`/proc/${pid}/smaps_rollup`, 'Anonymous');
}

/** Peaks of a process: its own memory, pages of mapped files, and both together. */
export interface MemoryPeak {
  anonymous: number;
  file: number;
  total: number;
}

/** Samples a process every 20 ms and keeps the peaks. */
export class MemoryWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #peak: MemoryPeak = { anonymous: 0, file: 0, total: 0 };

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#sample(), 20);
  }

  /** The peaks since the last call. */
  take(): MemoryPeak {
    this.#sample();
    const peak = this.#peak;
    this.#peak = { anonymous: 0, file: 0, total: 0 };
    return peak;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const status = `/proc/${this.#pid}/status`;
    const anonymous = bytesIn(status, 'RssAnon') || 0;
    const file = (bytesIn(status, 'RssFile') || 0) + (bytesIn(status, 'RssShmem') || 0);
    const { anonymous: most, file: mostFile, total } = this.#peak;
    this.#peak = { anonymous: Math.max(most, anonymous), file: Math.max(mostFile, file), total: Math.max(total, anonymous + file) };
  }
}

function bytesIn(path: string, field: string): number {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // no /proc, or the process has ended
  }
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
}
