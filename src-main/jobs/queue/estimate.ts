/** Milliseconds of a job's model work, from earlier pictures of the same kind; `write` is what follows beside the next job's model work. */
export interface MeasuredWork {
  generateMs: number;
  upscaleMs: number;
  writeMs: number;
}

/** The sum, or null as soon as one part was never measured: nothing is claimed before that. */
export function totalMs(parts: Iterable<number | null>): number | null {
  let total = 0;
  for (const ms of parts) {
    if (ms === null) return null;
    total += ms;
  }
  return total;
}
