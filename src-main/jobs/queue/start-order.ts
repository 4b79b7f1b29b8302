/** What the turn of a pending job depends on. */
export interface WaitingJob {
  jobId: string;
  /** Who asked first; requesters take turns. */
  requester: string;
  /** Grows with every request. */
  arrival: number;
  /** Set by hand; such jobs come before all others. */
  place: number | null;
  /** The program's own window asked for it. */
  ownWindow: boolean;
}

/**
 * The order in which pending jobs start: those placed by hand, then (if `windowsFirst`) jobs of the window, then the others. In each of the last two groups
 * requesters take turns, one job each, starting with the one served longest ago; the jobs of one requester keep the order in which they were asked for.
 * `lastServed` holds for each requester a number that grows with every start.
 */
export function startOrder<J extends WaitingJob>(waiting: Iterable<J>, lastServed: ReadonlyMap<string, number>, windowsFirst = true): J[] {
  const placed: { job: J; place: number }[] = [];
  const windows: J[] = [];
  const others: J[] = [];
  for (const job of waiting) {
    if (job.place !== null) placed.push({ job, place: job.place });
    else (windowsFirst && job.ownWindow ? windows : others).push(job);
  }
  placed.sort((a, b) => a.place - b.place);
  return [...placed.map(({ job }) => job), ...takeTurns(windows, lastServed), ...takeTurns(others, lastServed)];
}

function takeTurns<J extends WaitingJob>(jobs: J[], lastServed: ReadonlyMap<string, number>): J[] {
  const byRequester = new Map<string, J[]>();
  for (const job of jobs.sort((a, b) => a.arrival - b.arrival)) {
    const own = byRequester.get(job.requester);
    if (own === undefined) byRequester.set(job.requester, [job]);
    else own.push(job);
  }
  // the map is in order of arrival and the sort is stable
  const requesters = [...byRequester].sort(([a], [b]) => (lastServed.get(a) ?? 0) - (lastServed.get(b) ?? 0));
  const order: J[] = [];
  for (let round = 0; order.length < jobs.length; round++) {
    for (const [, own] of requesters) {
      const job = own[round];
      if (job !== undefined) order.push(job);
    }
  }
  return order;
}
