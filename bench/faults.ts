import { runKillRounds } from '../tests/faults/kill-rounds.ts';
import type { Check } from './checks.ts';
import { runParts } from './run-parts.ts';

const ROUNDS = 200;
const SEED = 1;

/** `npm run faults`: kill -9 in 200 rounds; ends with 1 where anything acknowledged was lost. */
await runParts('faults', { kill: { about: 'four minutes', measure: measureKills } });

async function measureKills(): Promise<Check[]> {
  const report = await runKillRounds(ROUNDS, SEED, (line) => console.log(`  ${line}`));
  for (const line of [...report.violations, ...report.missed.map((round) => `${round}: the point was not reached`)]) console.error(line);
  return [
    { what: 'rounds', value: ROUNDS, unit: '', least: 200 },
    { what: 'promises broken', value: report.violations.length, unit: '', most: 0 },
    { what: 'points that were not reached', value: report.missed.length, unit: '', most: 0 },
    { what: 'jobs acknowledged', value: report.acknowledgedJobs, unit: '' },
    { what: 'statuses that the clients heard', value: report.statusesHeard, unit: '' },
    { what: 'of these, by `since` after a kill', value: report.replayed, unit: '' },
    { what: 'pictures under a final name, each chunk and pixel read', value: report.wholeFiles, unit: '' },
    ...report.kills.map(({ point, victims, count }) => ({ what: `killed at \`${point}\`: ${victims}`, value: count, unit: 'times' })),
  ];
}
