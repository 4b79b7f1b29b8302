import type { StateCreator } from 'zustand/vanilla';
import type { QueueAction } from '#shared/domain/job-record.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

export interface QueueSlice {
  isPaused: boolean;
  /** Waiting jobs in the order in which they will start. */
  queueOrder: readonly string[];
  changeQueue(action: QueueAction): void;
}

export function createQueueSlice({ http }: StudioDeps): StateCreator<StudioState, [], [], QueueSlice> {
  return (set, get) => ({
    isPaused: false,
    queueOrder: [],
    changeQueue(action) {
      http.queue(action).then((summary) => set({ isPaused: summary.paused, queueOrder: summary.order }), get().tellFailure);
    },
  });
}
