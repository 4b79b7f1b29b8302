import { expect, test } from 'vitest';
import { runKillRounds } from './kill-rounds.ts';

test('kill -9 in 20 rounds: nothing acknowledged is lost, no half file has a final name, no end state changes, each outcome is reported once', async () => {
  const report = await runKillRounds(20, 1);
  expect(report.violations).toEqual([]);
  expect(report.missed).toEqual([]);
  expect(report.acknowledgedJobs).toBeGreaterThan(20);
  expect(report.wholeFiles).toBeGreaterThan(report.acknowledgedJobs);
  // without this the clients would have had nothing to check
  expect(report.replayed).toBeGreaterThan(0);
}, 300_000);
