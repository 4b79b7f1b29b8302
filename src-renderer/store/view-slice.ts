import type { StateCreator } from 'zustand/vanilla';
import { readStored, writeStored } from '../client/stored.ts';
import { firstSettings, type Settings, settingsSchema } from './settings.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

export const SETTINGS_KEY = 'zimage.settings';

export type Screen = 'make' | 'gallery' | 'settings';

export interface ViewSlice {
  screen: Screen;
  settings: Settings;
  show(screen: Screen): void;
  changeSettings(change: Partial<Settings>): void;
  /** Takes over what another window of this browser has changed. */
  reloadSettings(): void;
}

export function createViewSlice({ storage }: StudioDeps): StateCreator<StudioState, [], [], ViewSlice> {
  const stored = () => readStored(storage, SETTINGS_KEY, settingsSchema, firstSettings);
  return (set, get) => ({
    screen: 'make',
    settings: stored(),
    show(screen) {
      set({ screen });
    },
    changeSettings(change) {
      const settings = { ...get().settings, ...change };
      set({ settings });
      writeStored(storage, SETTINGS_KEY, settings);
    },
    reloadSettings() {
      set({ settings: stored() });
    },
  });
}
