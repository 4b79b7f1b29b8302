import { enginePoints, type KillPoint, serverPoints, startPoints, type Victims } from './kill-order.ts';

/** What one round kills, and when: at a named point, or `atMs` after the first request was sent. */
export type KillRound = { point: KillPoint; occurrence: number; victims: Victims } | { point: 'random'; atMs: number; victims: 'server' | 'engine' | 'both' };

const VICTIMS = ['server', 'engine', 'both'] as const;
/** An image and its upscaled version take about this long on the fake engine, its start included. */
const RANDOM_WITHIN_MS = 700;

/** `count` rounds determined by `seed`: every point with each of its possible victims, repeatedly in another order, with random moments in between. */
export function planKills(count: number, seed: number): KillRound[] {
  const random = mulberry32(seed);
  const upTo = (most: number) => 1 + Math.floor(random() * most);
  const named = (point: KillPoint, victims: Victims, mostOften: number): KillRound => ({ point, victims, occurrence: upTo(mostOften) });
  const oneOfEach = (): KillRound[] => [
    ...serverPoints.map((point) => named(point, point.startsWith('park') ? 'server' : random() < 0.5 ? 'server' : 'both', point === 'answer:sent' ? 6 : 1)),
    ...startPoints.map((point) => named(point, 'server', 1)),
    // the second file that an engine writes is the upscaled image
    ...enginePoints.flatMap((point) => VICTIMS.map((victims) => named(point, victims, /opened|written|sync|done/.test(point) ? 2 : 1))),
    ...Array.from({ length: 20 }, (_, i): KillRound => ({ point: 'random', atMs: Math.floor(random() * RANDOM_WITHIN_MS), victims: VICTIMS[i % 3] ?? 'both' })),
  ];
  const plan: KillRound[] = [];
  while (plan.length < count) plan.push(...shuffled(oneOfEach(), random));
  return plan.slice(0, count);
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Numbers in [0, 1) determined by the seed. Source: https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32 */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
