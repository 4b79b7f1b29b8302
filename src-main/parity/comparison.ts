/** How far one tensor is from what was expected. */
export interface Comparison {
  name: string;
  /** `equal`: count of elements that differ; `absolute`: largest difference; `relative`: that, over the largest expected value; `psnr`: decibels. */
  measure: 'equal' | 'absolute' | 'relative' | 'psnr';
  value: number;
  /** At most this, or at least this for `psnr`; null where the value is only printed. */
  limit: number | null;
}

/** What a forward of the exact graphs may differ by, as `relative`. */
export const EXACT_TENSOR_LIMIT = 2e-3;

export function isWithinLimit({ measure, value, limit }: Comparison): boolean {
  if (limit === null) return true;
  return measure === 'psnr' ? value >= limit : value <= limit;
}

/** Largest |a - b|; Infinity where the lengths differ or a value is no number. */
export function largestDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}

/** `largestDifference` over the largest |expected|. */
export function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  return largestDifference(actual, expected) / expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** Peak signal to noise ratio in dB for values from 0 to `peak`; Infinity for equal ones, -Infinity where the lengths differ. */
export function psnr(actual: ArrayLike<number>, expected: ArrayLike<number>, peak: number): number {
  if (actual.length !== expected.length) return Number.NEGATIVE_INFINITY;
  let squares = 0;
  for (let i = 0; i < expected.length; i++) squares += ((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN)) ** 2;
  return Number.isNaN(squares) ? Number.NEGATIVE_INFINITY : 10 * Math.log10((peak * peak * expected.length) / squares);
}

/** Prints the table and the verdict; true where all is within its limit. */
export function printComparisons(comparisons: readonly Comparison[]): boolean {
  const width = Math.max(...comparisons.map(({ name }) => name.length));
  for (const comparison of comparisons) {
    const { name, measure, value, limit } = comparison;
    const number = measure === 'psnr' ? `${value.toFixed(2)} dB` : measure === 'equal' ? `${value} differ` : value.toExponential(2);
    const wanted = limit === null ? '' : measure === 'psnr' ? `>= ${limit} dB` : measure === 'equal' ? '0 differ' : `<= ${limit}`;
    const verdict = limit === null ? '' : isWithinLimit(comparison) ? 'ok' : 'OUTSIDE';
    console.log(`${name.padEnd(width)}  ${measure.padEnd(8)}  ${number.padStart(12)}  ${wanted.padEnd(10)}  ${verdict}`);
  }
  const outside = comparisons.filter((comparison) => !isWithinLimit(comparison)).length;
  const compared = comparisons.filter(({ limit }) => limit !== null).length;
  const passed = outside === 0 && compared > 0;
  console.log(passed ? `parity: all ${compared} within their limits` : `parity: ${outside} of ${compared} outside their limits`);
  return passed;
}
