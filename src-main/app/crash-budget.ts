const WINDOW_MS = 5 * 60_000;
const MAX_RELOADS = 3;

/** Counts crashes of the page. Answers whether to reload it: not after the fourth crash within five minutes, which another reload would not cure. */
export function createCrashBudget(nowMs: () => number = () => performance.now()): () => boolean {
  let crashes: number[] = [];
  return () => {
    const now = nowMs();
    crashes = [...crashes.filter((time) => now - time < WINDOW_MS), now];
    if (crashes.length <= MAX_RELOADS) return true;
    // the user decides from here on, and begins with a full budget
    crashes = [];
    return false;
  };
}
