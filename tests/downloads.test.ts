import { expect, test } from 'vitest';
import { killDownloads } from './support/killed-download.ts';

test('a download whose process is killed at random resumes each time, loses at most 8 MB, and ends with the right bytes', async () => {
  const { mostLostBytes, ...rest } = await killDownloads(4, 40_000_000);
  expect(rest).toMatchObject({ kills: 4, isRight: true });
  expect(mostLostBytes).toBeLessThanOrEqual(8_000_000);
});
