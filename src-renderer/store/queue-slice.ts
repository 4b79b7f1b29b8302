import type { StateCreator } from 'zustand/vanilla';
import type { QueueAction, QueueSummary } from '#shared/domain/job-record.ts';
import type { Info } from '#shared/protocol/http.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

export interface QueueSlice {
  /** What the machine has and does; null until the server has told. */
  info: Info | null;
  refreshInfo(): void;
  changeQueue(action: QueueAction): void;
}

export function createQueueSlice({ http }: StudioDeps): StateCreator<StudioState, [], [], QueueSlice> {
  return (set, get) => ({
    info: null,
    refreshInfo: oneAtATime(() =>
      http.info().then(
        (info) => {
          const before = get().info;
          set({ info });
          get().takeOrder(info.queue.order);
          if (before !== null && before.version !== info.version) get().foundOutdated();
          // the programs that are copied from here need the key then
          if (!info.access.from_this_machine && !info.access.open && get().network === null) get().refreshNetwork();
        },
        (failure: unknown) => get().notifyFailure(failure),
      ),
    ),

    changeQueue(action) {
      const take = (queue: QueueSummary) => {
        const { info } = get();
        if (info !== null) set({ info: { ...info, queue } });
        get().takeOrder(queue.order);
      };
      http.queue(action).then(take, get().notifyFailure);
    },
  });
}
