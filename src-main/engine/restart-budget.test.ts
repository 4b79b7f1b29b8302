import { expect, test } from 'vitest';
import { RestartBudget } from './restart-budget.ts';

const limits = { maxRestarts: 3, windowMs: 1000, backoffMs: [10, 50] };

test('the first start is free, restarts wait longer and longer', () => {
  const budget = new RestartBudget(limits);
  expect(budget.nextStart(0)).toEqual({ waitMs: 0, spent: false });
  budget.recordDeath(100);
  expect(budget.nextStart(100)).toEqual({ waitMs: 10, spent: false });
  budget.recordDeath(200);
  expect(budget.nextStart(220)).toEqual({ waitMs: 30, spent: false });
  budget.recordDeath(300);
  expect(budget.nextStart(400)).toEqual({ waitMs: 0, spent: false });
});

test('after the last restart the window must pass', () => {
  const budget = new RestartBudget(limits);
  for (const at of [100, 200, 300, 400]) budget.recordDeath(at);
  expect(budget.nextStart(400)).toEqual({ waitMs: 700, spent: true });
  expect(budget.nextStart(1099)).toEqual({ waitMs: 1, spent: true });
  expect(budget.nextStart(1100)).toEqual({ waitMs: 0, spent: false });
});

test('deaths far apart are never too many', () => {
  const budget = new RestartBudget(limits);
  for (let at = 0; at < 20_000; at += 500) {
    budget.recordDeath(at);
    expect(budget.nextStart(at).spent).toBe(false);
  }
});
