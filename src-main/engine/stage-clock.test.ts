import { expect, test } from 'vitest';
import { StageClock } from './stage-clock.ts';

test('time before a report belongs to its stage', () => {
  let now = 0;
  const clock = new StageClock(() => now);
  for (const [at, stage] of [
    [10, 'encoding'],
    [10, 'generating'],
    [40, 'generating'],
    [75, 'generating'],
    [80, 'decoding'],
  ] as const) {
    now = at;
    clock.mark(stage);
  }
  expect(clock.stagesMs).toEqual({ encoding: 10, generating: 65, decoding: 5 });
});
