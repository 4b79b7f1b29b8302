/**
 * Stands in for `electron` in unit tests, which run under plain Node: the members that our own code touches while it is only being imported or asked for
 * plain data. What Electron really does is asked of a real one, in `tests/e2e`.
 */
import type * as Electron from 'electron';

class StandIn {
  constructor() {
    throw new Error('Electron is not here: what needs it is tested in tests/e2e.');
  }
}

export const app = { getPath: (name: Parameters<Electron.App['getPath']>[0]) => `/electron/${name}` } satisfies Pick<Electron.App, 'getPath'>;
export const Menu = StandIn;
export const Tray = StandIn;

let blockers = 0;
/** Ids of the blockers that are on. */
export const runningBlockers = new Set<number>();
export const powerSaveBlocker = {
  start: () => {
    blockers += 1;
    runningBlockers.add(blockers);
    return blockers;
  },
  stop: (id: number) => runningBlockers.delete(id),
} satisfies Pick<Electron.PowerSaveBlocker, 'start' | 'stop'>;
