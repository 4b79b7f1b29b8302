/**
 * Replaces `electron` in unit tests, which run under plain Node.js. It has the members that our code uses on import or for
 * plain data. `tests/e2e` tests the real Electron.
 */
import type * as Electron from 'electron';

class StandIn {
  constructor() {
    throw new Error('Electron is not available in unit tests; test this in tests/e2e.');
  }
}

export const app = { getPath: (name: Parameters<Electron.App['getPath']>[0]) => `/electron/${name}` } satisfies Pick<Electron.App, 'getPath'>;
export const Menu = StandIn;
export const Tray = StandIn;

let blockers = 0;
/** Ids of the active blockers. */
export const runningBlockers = new Set<number>();
export const powerSaveBlocker = {
  start: () => {
    blockers += 1;
    runningBlockers.add(blockers);
    return blockers;
  },
  stop: (id: number) => runningBlockers.delete(id),
} satisfies Pick<Electron.PowerSaveBlocker, 'start' | 'stop'>;
