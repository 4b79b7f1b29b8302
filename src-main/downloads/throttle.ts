/** A rate limit shared by all downloads. */
export interface Throttle {
  /** Resolves when `bytes` more may be received. Rejects with the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<void>;
  /** Null removes the limit. */
  set(bytesPerSecond: number | null): void;
}

const MAX_WAIT_MS = 500;

/** Each call waits until the bytes taken before it fit the rate. A new rate applies within half a second. */
export function createThrottle(bytesPerSecond: number | null, pause: Pause = pauseFor, now: () => number = () => performance.now()): Throttle {
  let rate = bytesPerSecond;
  let debt = 0;
  let paidAt = now();

  function pay(): void {
    const at = now();
    debt = rate === null ? 0 : Math.max(0, debt - ((at - paidAt) / 1000) * rate);
    paidAt = at;
  }

  return {
    async take(bytes, signal) {
      for (pay(); rate !== null && debt > 0; pay()) await pause(Math.min(MAX_WAIT_MS, Math.ceil((debt / rate) * 1000)), signal);
      debt += bytes;
    },
    set(value) {
      pay();
      rate = value;
    },
  };
}

/** Waits; rejects with the signal's reason when it is aborted. */
export type Pause = (milliseconds: number, signal: AbortSignal) => Promise<void>;

export const pauseFor: Pause = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', stop, { once: true });
  });
