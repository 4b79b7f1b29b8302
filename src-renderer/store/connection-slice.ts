import type { StateCreator } from 'zustand/vanilla';
import type { Connection } from '../client/socket.ts';
import type { StudioState } from './studio-store.ts';

export interface ConnectionSlice {
  connection: Connection;
  /** True from a connection that broke, or could not be had, until one stands. */
  isAway: boolean;
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
