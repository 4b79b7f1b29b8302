import { median } from './median.ts';
import type { WindowResults } from './results.ts';

export interface Verdict {
  measure: string;
  value: string;
  limit: string;
  isMet: boolean;
}

/** What was measured against what the window promises. */
export function windowVerdicts(results: WindowResults): Verdict[] {
  const time = (measure: string, series: readonly number[], limitMs: number): Verdict => {
    const middle = median(series);
    const value = `${middle.toFixed(0)} ms (${Math.min(...series).toFixed(0)} to ${Math.max(...series).toFixed(0)})`;
    return { measure, value, limit: `at most ${limitMs} ms`, isMet: middle <= limitMs };
  };
  const isStrict = /script-src [^;]*'self'/.test(results.policy) && !results.policy.includes('unsafe');
  return [
    time('first paint', results.firstPaintMs, 1000),
    time('interactive', results.interactiveMs, 1500),
    time('input to paint, 95th percentile', results.inputToPaintP95Ms, 50),
    time('longest task while a picture forms', results.longestProgressTaskMs, 50),
    time(`longest blank row, scrolling through ${results.pictures.toLocaleString('en')} pictures`, results.longestBlankRowMs, 100),
    time('longest task while scrolling', results.longestGalleryTaskMs, 100),
    time('all pictures in view after a jump, thumbnails made for the first time', results.picturesAfterJumpMs, 2000),
    {
      measure: 'what the page loads at its start, gzipped',
      value: `${(results.bundleGzipBytes / 1000).toFixed(0)} kB`,
      limit: 'under 350 kB',
      isMet: results.bundleGzipBytes < 350_000,
    },
    { measure: 'content policy', value: isStrict ? 'strict' : results.policy, limit: "scripts from 'self', nothing unsafe", isMet: isStrict },
    {
      measure: 'console errors, policy reports, requests to other hosts',
      value: results.faults.length === 0 ? 'none' : results.faults.join('; '),
      limit: 'none',
      isMet: results.faults.length === 0,
    },
  ];
}
