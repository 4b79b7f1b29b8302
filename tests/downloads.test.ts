import { expect, test } from 'vitest';
import { killDownloads } from './support/killed-download.ts';

test('a download whose process is killed at random resumes each time, loses at most the ranges in flight, and ends with the right bytes', async () => {
  const { mostLostBytes, ...rest } = await killDownloads(4, 40_000_000);
  expect(rest).toMatchObject({ kills: 4, isRight: true });
  // eight ranges of 0.98 MB, which a busy machine's latency may double twice
  expect(mostLostBytes).toBeLessThanOrEqual(4 * 7_900_000);
});
