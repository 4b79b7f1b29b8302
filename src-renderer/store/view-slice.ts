import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import { readStored, writeStored } from '../client/stored.ts';
import { firstSettings, type Settings, settingsSchema } from './settings.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

export const SETTINGS_KEY = 'zimage.settings';

const SCREEN_KEY = 'zimage.screen';

const screenSchema = z.enum(['make', 'gallery', 'settings']);
export type Screen = z.infer<typeof screenSchema>;

export interface ViewSlice {
  screen: Screen;
  settings: Settings;
  show(screen: Screen): void;
  changeSettings(change: Partial<Settings>): void;
  /** Takes over what another window of this browser has changed. */
  reloadSettings(): void;
}

export function createViewSlice({ storage, windowStorage }: StudioDeps): StateCreator<StudioState, [], [], ViewSlice> {
  const stored = () => readStored(storage, SETTINGS_KEY, settingsSchema, firstSettings);
  return (set, get) => ({
    screen: readStored(windowStorage, SCREEN_KEY, screenSchema, 'make'),
    settings: stored(),
    show(screen) {
      set({ screen });
      writeStored(windowStorage, SCREEN_KEY, screen);
    },
    changeSettings(change) {
      const settings = { ...get().settings, ...change };
      set({ settings });
      writeStored(storage, SETTINGS_KEY, settings);
      if (change.language !== undefined) get().changeDesktopSettings({ language: change.language === 'system' ? null : change.language });
    },
    reloadSettings() {
      set({ settings: stored() });
    },
  });
}
