/** Bytes per second over the last few seconds: a pause shows, a short stall does not. */
export interface Speed {
  /** The total so far; a lower total than before starts over. */
  count(bytes: number): void;
  /** Null in the first half second. */
  bytesPerSecond(): number | null;
}

const WINDOW_MS = 5_000;
const FIRST_MS = 500;

export function createSpeed(now: () => number = () => performance.now()): Speed {
  let samples: { at: number; bytes: number }[] = [];
  return {
    count(bytes) {
      const at = now();
      if (bytes < (samples.at(-1)?.bytes ?? 0)) samples = [];
      const recent = samples.findLastIndex((sample) => sample.at <= at - WINDOW_MS);
      samples = [...samples.slice(Math.max(0, recent)), { at, bytes }];
    },
    bytesPerSecond() {
      const [first] = samples;
      const last = samples.at(-1);
      if (first === undefined || last === undefined) return null;
      const elapsedMs = now() - first.at;
      return elapsedMs < FIRST_MS ? null : ((last.bytes - first.bytes) / elapsedMs) * 1000;
    },
  };
}
