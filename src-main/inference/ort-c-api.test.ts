import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeSessions, refusalOf } from '../../tests/support/session-conformance.ts';
import { longChain, outerSums } from '../../tests/support/small-graphs.ts';
import { openApiSessions, runConfigOf } from './ort-c-api.ts';

const create = openApiSessions();

describeSessions(create, { hasBfloat16: true });

test('a session that runs seldom gives back what its run took, another keeps it', async () => {
  const SIZE = 8192;
  const BETWEEN_BYTES = 4 * SIZE ** 2;
  const dir = await mkdtemp(join(tmpdir(), 'c-api-'));
  const column = { data: new Float32Array(SIZE).fill(2), shape: [SIZE, 1] };
  const row = { data: new Float32Array(SIZE).fill(3), shape: [1, SIZE] };
  const growth = async (runsSeldom: boolean): Promise<number> => {
    const session = await create(await outerSums(dir), { threads: 2, runsSeldom });
    // the first block that an arena takes it keeps: weights, in a graph that has some
    await session.run({ column: { data: Float32Array.of(1), shape: [1, 1] }, row: { data: Float32Array.of(1), shape: [1, 1] } });
    const before = process.memoryUsage.rss();
    expect(await session.run({ column, row })).toEqual({ sums: new Float32Array(SIZE).fill(6 * SIZE) });
    const after = process.memoryUsage.rss();
    await session.release();
    return after - before;
  };
  expect(await growth(false)).toBeGreaterThan(BETWEEN_BYTES / 2);
  expect(await growth(true)).toBeLessThan(BETWEEN_BYTES / 2);
  await rm(dir, { recursive: true, force: true });
});

describe('a long run', () => {
  const SIZE = 256;
  const matrix = { data: Float32Array.from({ length: SIZE * SIZE }, (_, i) => i), shape: [SIZE, SIZE] };
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'c-api-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test('leaves the event loop free, stops in its middle and runs again', async () => {
    const session = await create(await longChain(dir, SIZE, 600), { threads: 2 });
    const running = { is: true };
    const whole = session.run({ matrix }).finally(() => {
      running.is = false;
    });
    let turns = 0;
    while (running.is) {
      await nextTurn();
      turns++;
    }
    expect(await whole).toEqual({ same: matrix.data });
    expect(turns).toBeGreaterThan(100);

    const startedAt = performance.now();
    await session.run({ matrix });
    const wholeMs = performance.now() - startedAt;
    const signal = { cancelled: false };
    const stopped = refusalOf(session.run({ matrix }, signal));
    await nextTurn();
    signal.cancelled = true;
    const cancelledAt = performance.now();
    expect(await stopped).toMatchObject({ code: 'cancelled' });
    expect(performance.now() - cancelledAt).toBeLessThan(wholeMs / 2);
    expect(await session.run({ matrix })).toEqual({ same: matrix.data });
    await session.release();
  });
});

test('each card shrinks its own arena; other providers have none that can shrink', () => {
  const shrinks = 'memory.enable_memory_arena_shrinkage';
  expect(runConfigOf({ threads: 1, provider: 'cuda', card: 1, runsSeldom: true })).toEqual({ [shrinks]: 'gpu:1' });
  expect(runConfigOf({ threads: 1, provider: 'cuda', card: 1 })).toEqual({});
  expect(runConfigOf({ threads: 1, runsSeldom: true })).toEqual({ [shrinks]: 'cpu:0' });
  expect(runConfigOf({ threads: 1, provider: 'webgpu', runsSeldom: true })).toEqual({});
});
