import { createSpeed, type Speed } from './speed.ts';

/** Work on files that goes on for a while: how far it is, how fast, and the way to stop it. */
export interface Transfer<State extends string> {
  state: State;
  abort: AbortController;
  /** Bytes. */
  done: number;
  total: number;
  speed: Speed;
  /** When listeners heard of it last, by `performance.now()`. */
  toldAt: number;
  ended: Promise<void>;
}

/** Listeners hear of progress so often at most. */
export const TOLD_EVERY_MS = 250;

export function beginTransfer<State extends string>(state: State): Transfer<State> {
  return { state, abort: new AbortController(), done: 0, total: 0, speed: createSpeed(), toldAt: 0, ended: Promise.resolve() };
}

/** As the contract tells it. */
export function progressOf<State extends string>({ state, done, total, speed }: Transfer<State>) {
  const rate = speed.bytesPerSecond();
  return { state, bytes_done: done, bytes_per_second: rate, seconds_left: rate === null || rate <= 0 ? null : Math.ceil((total - done) / rate) };
}
