import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeSessions, refusalOf } from '../../tests/support/session-conformance.ts';
import { longChain } from '../../tests/support/small-graphs.ts';
import { openApiSessions } from './ort-c-api.ts';

const create = openApiSessions();

describeSessions(create, { hasBfloat16: true });

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
