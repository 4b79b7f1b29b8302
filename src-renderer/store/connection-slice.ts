import type { StateCreator } from 'zustand/vanilla';
import type { ConnectionSlice, StudioState } from './state.ts';

type Needs = ConnectionSlice & Pick<StudioState, 'models' | 'refreshInfo' | 'refreshJobs' | 'refreshGallery' | 'refreshModels'>;

export const createConnectionSlice: StateCreator<Needs, [], [], ConnectionSlice> = (set, get) => ({
  connection: { state: 'connecting' },
  isAway: false,
  wasConnected: false,
  isOutdated: false,
  isDiskFull: false,
  connectionChanged(connection) {
    set({ connection });
    if (connection.state === 'waiting') set({ isAway: true });
    if (connection.state !== 'open') return;
    set({ isAway: false, wasConnected: true });
    get().refreshInfo();
    get().refreshJobs();
    get().refreshGallery();
    if (get().models !== null) get().refreshModels();
  },
  foundOutdated() {
    set({ isOutdated: true });
  },
});
