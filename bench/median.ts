/** The value below which the fraction `q` of a series lies, between two neighbours where it falls there. NaN for an empty one. */
export function quantile(series: readonly number[], q: number): number {
  const sorted = [...series].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const lower = sorted[Math.floor(place)] ?? Number.NaN;
  const upper = sorted[Math.ceil(place)] ?? Number.NaN;
  return lower + (upper - lower) * (place - Math.floor(place));
}

/** The middle of a series, or the mean of its two middle values. NaN for an empty one. */
export function median(series: readonly number[]): number {
  return quantile(series, 0.5);
}
