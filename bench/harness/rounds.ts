/** Fewer rounds give no verdict on a time. */
export const ENOUGH_ROUNDS = 5;

/** Timed rounds of a comparison: 5, or BENCH_ROUNDS for a quick try. */
export const ROUNDS = parseRounds(process.env['BENCH_ROUNDS'] ?? String(ENOUGH_ROUNDS));

function parseRounds(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new Error(`BENCH_ROUNDS must be a whole number from 1 to 999, not ${JSON.stringify(text)}.`);
  return Number(text);
}

/** One side of a comparison. Returns its time in milliseconds, or its bytes. */
export type Run = (round: number) => Promise<number>;

/** One warm-up of each side, then rounds in the order A B, B A, A B, …: a disturbance of the machine hits both sides. */
export async function takeTurns(rounds: number, ours: Run, peer: Run): Promise<{ ours: number[]; peer: number[] }> {
  await ours(0);
  await peer(0);
  const series = { ours: [] as number[], peer: [] as number[] };
  for (let round = 1; round <= rounds; round++) {
    if (round % 2 === 1) series.ours.push(await ours(round));
    series.peer.push(await peer(round));
    if (round % 2 === 0) series.ours.push(await ours(round));
  }
  return series;
}

/** Milliseconds that `work` takes. */
export async function timeMs(work: () => unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** True for rows that the command line selects: `npm run bench -- vae 1024` selects labels that contain `1024`; without an argument all are selected. */
export function isWanted(label: string, word = process.argv[3]): boolean {
  return word === undefined || label.includes(word);
}
