import type { Release, UpdateState } from '#shared/protocol/desktop.ts';
import { asUpdateRefusal } from './update-refusal.ts';

/** What finds, fetches and puts in place the packages of this system. Its methods throw `UpdateRefusal`. */
export interface PackageUpdater {
  /** True where a package can be put in place without a question to the user, so that this happens when the program quits. */
  installsAtQuit: boolean;
  /** What the feed offers that is newer than what runs, or null. */
  find(): Promise<Release | null>;
  /** Fetches what was found and checks it. */
  download(onReceived: (bytes: number) => void, signal: AbortSignal): Promise<void>;
  /** Puts what was downloaded in place of what runs; with `restart` the new one is started. */
  install(restart: boolean): Promise<void>;
}

export interface UpdatesOptions {
  /** Or why this program is not updated from within. */
  updater: PackageUpdater | 'no_feed' | 'other_installer';
  onChange(state: UpdateState): void;
  /** Begins the way out that ends with `installReady(true)`. */
  restart(): void;
}

/** The updates of this program: one state, and what may be done from it. A call that does not fit the state changes nothing. */
export interface Updates {
  state(): UpdateState;
  /** Resolves when the answer is there. */
  check(): Promise<UpdateState>;
  download(): UpdateState;
  cancel(): UpdateState;
  install(): UpdateState;
  /** Hears whether jobs are in work now: nothing is installed in the middle of one. */
  jobsChanged(isBusy: boolean): void;
  /** The last step of the way out: installs what is ready, where that was asked for or needs no question. Throws `UpdateRefusal`. */
  installReady(restart: boolean): Promise<void>;
}

export function createUpdates({ updater, onChange, restart }: UpdatesOptions): Updates {
  let state: UpdateState = typeof updater === 'string' ? { state: 'off', reason: updater } : { state: 'none', checkedAt: null };
  let isBusy = false;
  let running: AbortController | null = null;

  const enter = (next: UpdateState): UpdateState => {
    state = next;
    onChange(next);
    return next;
  };
  /** Every error ends the step, also one that nobody foresaw: the user can always try again. */
  const fail = (thrown: unknown): UpdateState => {
    const { reason, detail } = asUpdateRefusal(thrown);
    return enter({ state: 'failed', reason, detail });
  };

  const download = async (from: PackageUpdater, release: Release, abort: AbortController): Promise<void> => {
    try {
      await from.download((receivedBytes) => {
        if (!abort.signal.aborted) enter({ ...release, state: 'downloading', receivedBytes });
      }, abort.signal);
      enter({ ...release, state: 'ready', atQuit: from.installsAtQuit, waitsForJobs: false });
    } catch (thrown) {
      if (abort.signal.aborted) enter({ ...release, state: 'available' });
      else fail(thrown);
    }
  };

  return {
    state: () => state,
    check: async () => {
      if (typeof updater === 'string' || !['none', 'failed', 'available'].includes(state.state)) return state;
      enter({ state: 'checking' });
      try {
        const release = await updater.find();
        return enter(release === null ? { state: 'none', checkedAt: new Date().toISOString() } : { ...release, state: 'available' });
      } catch (thrown) {
        return fail(thrown);
      }
    },
    download: () => {
      if (typeof updater === 'string' || state.state !== 'available') return state;
      const { version, notes, sizeBytes } = state;
      const release = { version, notes, sizeBytes };
      running = new AbortController();
      enter({ ...release, state: 'downloading', receivedBytes: 0 });
      void download(updater, release, running);
      return state;
    },
    cancel: () => {
      if (state.state === 'downloading') running?.abort();
      if (state.state === 'ready' && state.waitsForJobs) enter({ ...state, waitsForJobs: false });
      return state;
    },
    install: () => {
      if (state.state !== 'ready') return state;
      if (isBusy) return enter({ ...state, waitsForJobs: true });
      restart();
      return state;
    },
    jobsChanged: (busy) => {
      isBusy = busy;
      if (!isBusy && state.state === 'ready' && state.waitsForJobs) restart();
    },
    installReady: async (isRestart) => {
      if (typeof updater !== 'string' && state.state === 'ready' && (isRestart || state.atQuit)) await updater.install(isRestart);
    },
  };
}
