import { runKillRounds } from '../tests/faults/kill-rounds.ts';
import { figure, type Row } from './harness/row.ts';
import { runParts } from './harness/run-parts.ts';

const ROUNDS = 200;
const SEED = 1;

/** `npm run faults`: kill -9 in 200 rounds; ends with 1 where anything acknowledged was lost. */
await runParts('faults', { kill: { duration: 'four minutes', measure: measureKills } });

async function measureKills(): Promise<Row[]> {
  const report = await runKillRounds(ROUNDS, SEED, (line) => console.log(`  ${line}`));
  for (const line of [...report.violations, ...report.missed.map((round) => `${round}: the point was not reached`)]) console.error(line);
  return [
    figure('rounds', ROUNDS, '', { least: 200 }),
    figure('promises broken', report.violations.length, '', { most: 0 }),
    figure('kill points that were not reached', report.missed.length, '', { most: 0 }),
    figure('jobs acknowledged', report.acknowledgedJobs),
    figure('statuses that the clients received', report.statusesHeard),
    figure('of these, replayed by `since` after a kill', report.replayed),
    figure('images under a final name, every chunk and pixel read', report.wholeFiles),
    ...report.kills.map(({ point, victims, count }) => figure(`killed at \`${point}\`: ${victims}`, count, 'times')),
  ];
}
