import type { Release, UpdateState } from '#shared/protocol/desktop.ts';
import { asUpdateRefusal } from './update-refusal.ts';

/** Finds, downloads and installs packages. Its methods throw `UpdateRefusal`. */
export interface PackageUpdater {
  /** True if a package can be installed without asking the user, so that it is installed when the app quits. */
  installsAtQuit: boolean;
  /** A newer version in the feed, or null. */
  find(): Promise<Release | null>;
  /** Downloads and verifies the version that was found. */
  download(onReceived: (bytes: number) => void, signal: AbortSignal): Promise<void>;
  /** Installs the downloaded version; with `restart` it is started. */
  install(restart: boolean): Promise<void>;
}

export interface UpdatesOptions {
  /** Or the reason why this app cannot update itself. */
  updater: PackageUpdater | 'no_feed' | 'other_installer';
  onChange(state: UpdateState): void;
  /** Starts to quit; `installReady(true)` is called at the end. */
  restart(): void;
}

/** The updates of this app as one state. A call that does not fit the state changes nothing. */
export interface Updates {
  state(): UpdateState;
  /** Resolves with the result. */
  check(): Promise<UpdateState>;
  download(): UpdateState;
  cancel(): UpdateState;
  install(): UpdateState;
  /** Says whether jobs are in progress: nothing is installed during a job. */
  jobsChanged(isBusy: boolean): void;
  /** The last step of quitting: installs a ready version if the user asked for it or need not be asked. Throws `UpdateRefusal`. */
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
  /** Every error ends the step, also an unexpected one, so that the user can try again. */
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
