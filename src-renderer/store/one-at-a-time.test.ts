import { expect, test } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

test('calls during a run lead to exactly one more, and never two at once', async () => {
  let running = 0;
  let runs = 0;
  const call = oneAtATime(async () => {
    running += 1;
    runs += 1;
    expect(running).toBe(1);
    await Promise.resolve();
    running -= 1;
  });
  call();
  call();
  call();
  await new Promise((resolve) => setTimeout(resolve));
  expect(runs).toBe(2);
  call();
  await new Promise((resolve) => setTimeout(resolve));
  expect(runs).toBe(3);
});
