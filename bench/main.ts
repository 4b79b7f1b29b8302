import { measureAll } from './all.ts';
import { type Bench, benches } from './benches.ts';
import { writeReport } from './report.ts';

/**
 * `npm run bench -- NAME`: measures NAME and writes `bench/results/NAME.json`; `all` measures everything; `report` puts the results into the documents.
 * Of `vae` and `growth` a further word asks for the rows that have it: `npm run bench -- vae 1024`, `npm run bench -- growth jobs`.
 * BENCH_ROUNDS=2 makes a quick try of it, without verdicts.
 */
async function main(): Promise<void> {
  const name = process.argv[2] ?? '';
  if (name === 'report') return writeReport();
  if (name === 'all') return measureAll();
  const bench: Bench | undefined = benches[name];
  if (!bench) {
    const list = Object.entries(benches).map(([known, { minutes, what }]) => `  ${known.padEnd(12)} ${what} (${minutes} min)`);
    console.error(
      `npm run bench -- NAME, met ${JSON.stringify(name)}. Names:\n${list.join('\n')}\n  all          all of them\n  report       puts the results into the documents`,
    );
    process.exitCode = 2;
    return;
  }
  await bench.run();
}

await main();
