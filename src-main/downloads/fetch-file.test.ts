import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fetchFile, noFetchCounts } from './fetch-file.ts';

const MEGABYTE = 983_040;
const content = Buffer.alloc(50 * MEGABYTE, 'content');
const file = { path: 'weights', sizeBytes: content.length, hash: createHash('sha256').update(content).digest('hex') };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fetch-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** Sizes of the ranges asked of a server that takes `latencyMs` to the first byte and then `readingMs` a megabyte; its answers with the numbers in `failing` break. */
async function rangesAskedFor(latencyMs: number, readingMs: number): Promise<number[]> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  const wait = (milliseconds: number) => new Promise<void>((resolve) => void setTimeout(resolve, milliseconds));
  const asked: number[] = [];
  const counts = noFetchCounts();
  let isDone = false;
  const fetching = fetchFile(new URL('https://hub/weights'), file, join(dir, 'part'), {
    http: {
      get: async (url, headers) => {
        const [first = 0, last = 0] = (/\d+-\d+/.exec(headers['range'] ?? '')?.[0] ?? '').split('-').map(Number);
        asked.push(last + 1 - first);
        await wait(latencyMs);
        const header = (name: string) => (name === 'content-range' ? `bytes ${first}-${last}/${content.length}` : null);
        const body = (async function* () {
          await wait((readingMs * (last + 1 - first)) / MEGABYTE);
          yield content.subarray(first, last + 1);
        })();
        return { status: 206, header, url, discard: () => {}, body };
      },
    },
    throttle: { take: async () => {}, set: () => {} },
    signal: new AbortController().signal,
    onBytes: () => {},
    counts,
    pause: async () => {},
  }).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await vi.advanceTimersByTimeAsync(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await fetching;
  vi.useRealTimers();
  expect(counts.fetchedBytes).toBe(content.length);
  return asked;
}

test('ranges grow where latency takes most of the time, and stay small where it does not', async () => {
  const far = await rangesAskedFor(500, 10);
  expect(far[0]).toBe(MEGABYTE);
  expect(Math.max(...far)).toBeGreaterThanOrEqual(4 * MEGABYTE);
  expect(far.length).toBeLessThan(25);
  await rm(join(dir, 'part'));
  const slow = await rangesAskedFor(100, 1000);
  expect(new Set(slow)).toEqual(new Set([MEGABYTE]));
  await rm(join(dir, 'part'));
  const near = await rangesAskedFor(5, 1);
  expect(new Set(near)).toEqual(new Set([MEGABYTE]));
});
