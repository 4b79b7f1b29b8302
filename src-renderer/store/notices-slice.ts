import type { StateCreator } from 'zustand/vanilla';
import { HttpFailure } from '../client/http.ts';
import type { StudioState } from './studio-store.ts';

/** A short message at the edge of the window. An error has the server's code, for which every language has a sentence, and the server's own words. */
export type Notice =
  | { id: number; tone: 'error'; code: string; message: string }
  | { id: number; tone: 'undo'; deletedIds: string[] }
  | { id: number; tone: 'info'; text: 'copied' | 'recipeRead' | 'saved' }
  | { id: number; tone: 'info'; text: 'binEmptied'; count: number };

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

export interface NoticesSlice {
  notices: readonly Notice[];
  notify(notice: WithoutId<Notice>): void;
  /** For the failure of a call; a server that does not answer is told by the connection already. */
  notifyFailure(failure: unknown): void;
  dismiss(id: number): void;
}

const SHOWN_AT_ONCE = 3;

export const createNoticesSlice: StateCreator<StudioState, [], [], NoticesSlice> = (set, get) => {
  let count = 0;
  return {
    notices: [],
    notify(notice) {
      count += 1;
      // the same again takes the place of the first
      const others = get().notices.filter((shown) => notice.tone !== 'info' || shown.tone !== 'info' || shown.text !== notice.text);
      set({ notices: [...others, { ...notice, id: count }].slice(-SHOWN_AT_ONCE) });
    },
    notifyFailure(failure) {
      if (!(failure instanceof HttpFailure)) throw failure;
      if (failure.code === 'unreadable') get().foundOutdated();
      else if (failure.code !== 'unreachable') get().notify({ tone: 'error', code: failure.code, message: failure.message });
    },
    dismiss(id) {
      set({ notices: get().notices.filter((notice) => notice.id !== id) });
    },
  };
};
