import type { StateCreator } from 'zustand/vanilla';
import type { Connection } from '../client/socket.ts';
import type { StudioState } from './studio-store.ts';

export interface ConnectionSlice {
  connection: Connection;
  /** True once the server has answered in this window; before that an outage reads differently. */
  wasConnected: boolean;
  /** True after a frame or an answer outside the contract: page and server are of different versions. */
  isOutdated: boolean;
  /** True from a job that failed for want of room on the disk until one is taken on again. */
  isDiskFull: boolean;
  connectionChanged(connection: Connection): void;
  foundOutdated(): void;
}

export const createConnectionSlice: StateCreator<StudioState, [], [], ConnectionSlice> = (set, get) => ({
  connection: { state: 'connecting' },
  wasConnected: false,
  isOutdated: false,
  isDiskFull: false,
  connectionChanged(connection) {
    set({ connection });
    if (connection.state !== 'open') return;
    set({ wasConnected: true });
    get().refreshInfo();
    get().refreshJobs();
    get().refreshGallery();
    if (get().models !== null) get().refreshModels();
  },
  foundOutdated() {
    set({ isOutdated: true });
  },
});
