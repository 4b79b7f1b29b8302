import type { Bulk, Label } from '#shared/domain/job-record.ts';
import type { StudioDeps, StudioState } from './state.ts';

/** Most ids in one bulk call. */
const MAX_BULK = 10_000;

interface BulkCallNeeds extends Pick<StudioState, 'notify' | 'notifyFailure'> {
  call: StudioDeps['http']['bulk'];
}

/** A bulk call in parts that the server accepts. Returns the ids that it has changed; one notice reports the rest. */
export function createBulkCall({ call, notify, notifyFailure }: BulkCallNeeds) {
  return async (ids: readonly string[], action: Bulk['action'], label?: Label): Promise<string[]> => {
    const changed: string[] = [];
    try {
      for (let at = 0; at < ids.length; at += MAX_BULK) {
        const { done, failed } = await call({ ids: ids.slice(at, at + MAX_BULK), action, ...(label === undefined ? {} : { label }) });
        changed.push(...done);
        const [first] = failed;
        if (first !== undefined) notify({ tone: 'error', code: first.code, message: first.message });
      }
    } catch (failure) {
      notifyFailure(failure);
    }
    return changed;
  };
}
