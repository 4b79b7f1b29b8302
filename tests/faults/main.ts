import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { programVersion } from '#main/program-version.ts';
import { machineName } from '../../bench/machine.ts';
import { type FaultResults, resultsFile } from '../../bench/results.ts';
import { runKillRounds } from './kill-rounds.ts';

/** `npm run faults [-- ROUNDS [SEED]]`: kill -9 in 200 rounds; tells each, writes `bench/results/faults.json` and ends with 1 where anything was lost. */
async function main(): Promise<void> {
  const [count, seed] = [Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 1)];
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(seed)) {
    console.error(`npm run faults -- ROUNDS SEED takes whole numbers, 200 and 1 by default; met ${process.argv.slice(2).join(' ')}`);
    process.exitCode = 2;
    return;
  }
  const startedAt = performance.now();
  const report = await runKillRounds(count, seed, (line) => console.log(line));
  const results: FaultResults = {
    date: new Date().toISOString().slice(0, 10),
    machine: machineName(),
    version: programVersion(),
    node: process.version,
    rounds: count,
    seed,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    ...report,
  };
  await mkdir(dirname(resultsFile('faults')), { recursive: true });
  await writeFile(resultsFile('faults'), `${JSON.stringify(results, null, 2)}\n`);
  for (const { point, victims, count: times } of report.kills) console.log(`${String(times).padStart(4)}  ${point} of ${victims}`);
  console.log(
    `${count} rounds in ${results.seconds} s: ${report.acknowledgedJobs} jobs acknowledged, ${report.statusesHeard} statuses heard (${report.replayed} of them replayed), ` +
      `${report.wholeFiles} whole pictures; ${report.violations.length} violations, ${report.missed.length} points not reached`,
  );
  for (const line of [...report.violations, ...report.missed.map((round) => `${round}: the point was not reached`)]) console.error(line);
  if (report.violations.length + report.missed.length > 0) process.exitCode = 1;
}

await main();
