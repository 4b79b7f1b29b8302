import { readFileSync } from 'node:fs';

/** Bytes of a process. */
export interface ResidentMemory {
  /** Its own: heap, buffers, what a library copied. */
  anonymous: number;
  /** Pages of mapped files, which the system takes back when it needs room. */
  file: number;
}

const INTERVAL_MS = 20;

/** Looks at a process again and again and keeps the largest that it saw. Linux only; elsewhere it sees nothing. */
export class MemoryWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #peak: ResidentMemory & { total: number } = { anonymous: 0, file: 0, total: 0 };

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  /** The largest of each since the last call, and of both together. */
  take(): ResidentMemory & { total: number } {
    this.#look();
    const peak = this.#peak;
    this.#peak = { anonymous: 0, file: 0, total: 0 };
    return peak;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { anonymous, file } = residentMemory(this.#pid);
    this.#peak = {
      anonymous: Math.max(this.#peak.anonymous, anonymous),
      file: Math.max(this.#peak.file, file),
      total: Math.max(this.#peak.total, anonymous + file),
    };
  }
}

function residentMemory(pid: number): ResidentMemory {
  let status = '';
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    // the process has ended
  }
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { anonymous: bytes('RssAnon'), file: bytes('RssFile') + bytes('RssShmem') };
}
