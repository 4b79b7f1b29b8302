import { createHash } from 'node:crypto';

const KEEP_MS = 15 * 60_000;
const MAX_REQUESTS = 1000;

/** What is known about a request that its client may repeat. */
interface Recent {
  seed: number;
  /** Why it failed after its headers were sent, which the client could not read. */
  failure?: unknown;
  atMs: number;
}

/**
 * The requests of the last 15 minutes, by caller and body. A client that repeats one after a lost connection gets the same seed, so its request joins the
 * job that exists.
 */
export class RecentRequests {
  readonly #requests = new Map<string, Recent>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** The known request, if this is its repetition; else remembers it with a new seed. */
  enter(caller: string, body: object, isRepeated: boolean, newSeed: () => number): Recent {
    const hash = createHash('sha256').update(caller).update('\0').update(JSON.stringify(body)).digest('base64');
    const nowMs = this.#nowMs();
    const known = this.#requests.get(hash);
    if (isRepeated && known !== undefined && nowMs - known.atMs < KEEP_MS) return known;
    const entry = { seed: newSeed(), atMs: nowMs };
    this.#requests.delete(hash);
    this.#requests.set(hash, entry);
    if (this.#requests.size > MAX_REQUESTS) this.#requests.delete(this.#requests.keys().next().value ?? '');
    return entry;
  }
}
