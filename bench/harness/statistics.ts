/** The middle of a series, or the mean of its two middle values. NaN for an empty one. */
export function median(series: readonly number[]): number {
  const sorted = [...series].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? Number.NaN)) / 2;
}

/** The smallest value that `share` (0 to 1) of the series does not exceed. NaN for an empty one. */
export function percentile(series: readonly number[], share: number): number {
  const sorted = [...series].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** Slope of the least-squares line through the points (x, y). */
export function slope(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  const along = x.reduce((sum, value, i) => sum + (value - meanX) * ((y[i] ?? Number.NaN) - meanY), 0);
  return along / x.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
}

/** Rounds to `digits` significant digits. */
export function significant(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}
