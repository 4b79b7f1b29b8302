import type { StateCreator } from 'zustand/vanilla';
import type { QueueSummary } from '#shared/domain/job-record.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { QueueSlice, StudioDeps, StudioState } from './state.ts';

type Needs = QueueSlice & Pick<StudioState, 'takeOrder' | 'foundOutdated' | 'network' | 'refreshNetwork' | 'notifyFailure'>;

export function createQueueSlice({ http }: Pick<StudioDeps, 'http'>): StateCreator<Needs, [], [], QueueSlice> {
  return (set, get) => ({
    info: null,
    refreshInfo: oneAtATime(() =>
      http.info().then(
        (info) => {
          const before = get().info;
          set({ info });
          get().takeOrder(info.queue.order);
          if (before !== null && before.version !== info.version) get().foundOutdated();
          // the scripts that the window copies to the clipboard need the access key in this case
          if (!info.access.from_this_machine && !info.access.open && get().network === null) get().refreshNetwork();
        },
        (failure: unknown) => get().notifyFailure(failure),
      ),
    ),

    changeQueue(action) {
      const apply = (queue: QueueSummary) => {
        const { info } = get();
        if (info !== null) set({ info: { ...info, queue } });
        get().takeOrder(queue.order);
      };
      http.queue(action).then(apply, get().notifyFailure);
    },
  });
}
