/** The middle of a series, or the mean of its two middle values. NaN for an empty one. */
export function median(series: readonly number[]): number {
  const sorted = [...series].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? Number.NaN)) / 2;
}
