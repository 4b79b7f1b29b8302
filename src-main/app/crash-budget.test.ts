import { expect, test } from 'vitest';
import { createCrashBudget } from './crash-budget.ts';

test('a page that crashes four times within five minutes is not reloaded; after the answer of the user it is again', () => {
  let now = 0;
  const mayReload = createCrashBudget(() => now);
  const crash = (atMs: number): boolean => {
    now = atMs;
    return mayReload();
  };
  expect([crash(0), crash(60_000), crash(120_000), crash(180_000), crash(240_000)]).toEqual([true, true, true, false, true]);
});

test('crashes of more than five minutes ago do not count', () => {
  let now = 0;
  const mayReload = createCrashBudget(() => now);
  const answers = [0, 100_000, 200_000, 300_000, 400_000].map((time) => {
    now = time;
    return mayReload();
  });
  expect(answers).toEqual([true, true, true, true, true]);
});
