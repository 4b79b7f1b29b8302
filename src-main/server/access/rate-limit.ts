const MOST_KEYS = 10_000;

export interface RateLimit {
  /** 0 when `key` may go on, else the milliseconds after which it may. */
  take(key: string): number;
}

/** A token bucket for each key: `burst` at once, then `perSecond`. `nowMs` must never step back. */
export function createRateLimit(perSecond: number, burst: number, nowMs: () => number = () => performance.now()): RateLimit {
  const buckets = new Map<string, { tokens: number; atMs: number }>();

  return {
    take(key) {
      const now = nowMs();
      const before = buckets.get(key);
      const tokens = before === undefined ? burst : Math.min(burst, before.tokens + ((now - before.atMs) * perSecond) / 1000);
      // set again at the end of the map, so that the first entry is the one that was quiet for longest
      buckets.delete(key);
      buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: now });
      if (buckets.size > MOST_KEYS) buckets.delete(buckets.keys().next().value ?? key);
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1000) / perSecond);
    },
  };
}
