import { createContext, useContext } from 'react';
import { useStore } from 'zustand';
import type { StudioState } from '../store/state.ts';
import type { StudioStore } from '../store/studio-store.ts';

export const StudioContext = createContext<StudioStore | null>(null);

export function useStudioStore(): StudioStore {
  const store = useContext(StudioContext);
  if (store === null) throw new Error('StudioContext has no store: render inside StudioContext.Provider');
  return store;
}

/** A part of the state; the component re-renders only when that part changes. */
export function useStudio<T>(selector: (state: StudioState) => T): T {
  return useStore(useStudioStore(), selector);
}
