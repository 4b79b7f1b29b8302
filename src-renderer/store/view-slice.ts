import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import { readStored, writeStored } from '../client/stored.ts';
import { screenSchema } from './screen.ts';
import { firstSettings, settingsSchema } from './settings.ts';
import type { StudioDeps, StudioState, ViewSlice } from './state.ts';

export const SETTINGS_KEY = 'zimage.settings';

const SCREEN_KEY = 'zimage.screen';
const COMPARING_KEY = 'zimage.comparing';
const DEMO_BANNER_KEY = 'zimage.demo-banner-closed';

type Needs = ViewSlice & Pick<StudioState, 'changeDesktopSettings'>;

export function createViewSlice({ storage, windowStorage }: Pick<StudioDeps, 'storage' | 'windowStorage'>): StateCreator<Needs, [], [], ViewSlice> {
  const stored = () => readStored(storage, SETTINGS_KEY, settingsSchema, firstSettings);
  return (set, get) => ({
    screen: readStored(windowStorage, SCREEN_KEY, screenSchema, 'make'),
    settings: stored(),
    isComparing: readStored(storage, COMPARING_KEY, z.boolean(), false),
    setComparing(isComparing) {
      set({ isComparing });
      writeStored(storage, COMPARING_KEY, isComparing);
    },
    isDemoBannerClosed: readStored(storage, DEMO_BANNER_KEY, z.boolean(), false),
    closeDemoBanner() {
      set({ isDemoBannerClosed: true });
      writeStored(storage, DEMO_BANNER_KEY, true);
    },
    show(screen) {
      set({ screen });
      writeStored(windowStorage, SCREEN_KEY, screen);
    },
    settingsPart: null,
    showSettings(settingsPart) {
      set({ settingsPart });
      get().show('settings');
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
