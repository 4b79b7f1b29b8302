/** A job in `pending`, as far as its turn depends on it. */
export interface WaitingJob {
  jobId: string;
  /** Who asked first: takes turns with the other owners. */
  owner: string;
  /** Grows with every request. */
  arrival: number;
  /** Set by hand; such jobs come before all others. */
  place: number | null;
  /** Of the program's own window. */
  ownWindow: boolean;
}

/**
 * The order in which waiting jobs start: those placed by hand, then (if `windowsFirst`) the window's, then the others. Among the window's and among the
 * others the owners take turns, one job each, the one served longest ago first; an owner's own jobs stay first come, first served.
 * `lastServed` holds, for each owner, a number that grows with every start.
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
  const byOwner = new Map<string, J[]>();
  for (const job of jobs.sort((a, b) => a.arrival - b.arrival)) {
    const own = byOwner.get(job.owner);
    if (own === undefined) byOwner.set(job.owner, [job]);
    else own.push(job);
  }
  // owners stand in order of arrival and the sort is stable
  const owners = [...byOwner].sort(([a], [b]) => (lastServed.get(a) ?? 0) - (lastServed.get(b) ?? 0));
  const order: J[] = [];
  for (let round = 0; order.length < jobs.length; round++) {
    for (const [, own] of owners) {
      const job = own[round];
      if (job !== undefined) order.push(job);
    }
  }
  return order;
}
