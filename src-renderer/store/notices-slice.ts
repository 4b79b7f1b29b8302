import type { StateCreator } from 'zustand/vanilla';
import { HttpFailure } from '../client/http.ts';
import type { NewNotice, Notice } from './notice.ts';
import type { NoticesSlice, StudioState } from './state.ts';

const MAX_SHOWN = 3;

type Needs = NoticesSlice & Pick<StudioState, 'foundOutdated'>;

export const createNoticesSlice: StateCreator<Needs, [], [], NoticesSlice> = (set, get) => {
  let count = 0;
  return {
    notices: [],
    notify(notice) {
      count += 1;
      const others = get().notices.filter((shown) => !isRepeatedBy(shown, notice));
      set({ notices: [...others, { ...notice, id: count }].slice(-MAX_SHOWN) });
    },
    notifyFailure(failure) {
      if (!(failure instanceof HttpFailure)) throw failure;
      if (failure.code === 'unreadable') get().foundOutdated();
      else if (failure.code !== 'unreachable') get().notify({ tone: 'error', code: failure.code, message: failure.message });
    },
    dismiss(id) {
      set({ notices: get().notices.filter((notice) => notice.id !== id) });
    },
    dismissUndo(text) {
      set({ notices: get().notices.filter((notice) => notice.tone !== 'undo' || notice.text !== text) });
    },
    undoLast() {
      const last = get().notices.findLast((notice) => notice.tone === 'undo');
      if (last === undefined) return false;
      get().dismiss(last.id);
      last.undo();
      return true;
    },
  };
};

/** An undo is never replaced: each one brings back something else. */
function isRepeatedBy(shown: Notice, next: NewNotice): boolean {
  if (shown.tone === 'error') return next.tone === 'error' && next.code === shown.code;
  return shown.tone === 'info' && next.tone === 'info' && next.text === shown.text;
}
