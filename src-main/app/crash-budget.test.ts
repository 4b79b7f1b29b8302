import { expect, test } from 'vitest';
import { createCrashBudget } from './crash-budget.ts';

test('a page that crashes four times within a minute is not reloaded; after the answer of the user it is again', () => {
  let now = 0;
  const mayReload = createCrashBudget(() => now);
  const crash = (atMs: number): boolean => {
    now = atMs;
    return mayReload();
  };
  expect([crash(0), crash(1000), crash(2000), crash(3000), crash(4000)]).toEqual([true, true, true, false, true]);
});

test('crashes of more than a minute ago do not count', () => {
  let now = 0;
  const mayReload = createCrashBudget(() => now);
  const answers = [0, 20_000, 40_000, 60_000, 80_000].map((time) => {
    now = time;
    return mayReload();
  });
  expect(answers).toEqual([true, true, true, true, true]);
});
