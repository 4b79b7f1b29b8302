import type { PartRole } from '#main/lib/compiled.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { type Placement, placements } from '../memory-plan.ts';
import type { Session } from '../session.ts';

export interface SessionPool<Part extends string> {
  /** Goes by another plan from now on: what it has elsewhere leaves, what it keeps is loaded at once and counted by `onProgress`. */
  follow(plan: MemoryPlan, onProgress?: (done: number, total: number) => void): Promise<void>;
  /** The part as a session that is loaded when it runs, after whatever must not be in memory beside it has left. */
  session(part: Part): Session;
  /** Whether it stays loaded when another part runs. */
  keeps(part: Part): boolean;
  release(): Promise<void>;
}

/** The sessions of the parts with these roles, loaded and released as a memory plan says. `load` makes one in a place. */
export function createSessionPool<Part extends string>(
  roles: ReadonlyMap<Part, PartRole>,
  load: (part: Part, place: Placement['place']) => Promise<Session>,
  first: MemoryPlan,
): SessionPool<Part> {
  const held = new Map<Part, { session: Session; place: Placement['place'] }>();
  let plan = first;

  function placementOf(part: Part): Placement {
    const role = roles.get(part);
    if (role === undefined) throw new Error(`There is no part ${part}.`);
    return placements[plan][role];
  }

  async function drop(isToGo: (part: Part, place: Placement['place']) => boolean): Promise<void> {
    for (const [part, { session, place }] of [...held]) {
      if (!isToGo(part, place)) continue;
      held.delete(part);
      await session.release();
    }
  }

  async function loaded(part: Part): Promise<Session> {
    const { place } = placementOf(part);
    await drop((other) => other !== part && !placementOf(other).stays);
    const there = held.get(part);
    if (there !== undefined) return there.session;
    const session = await load(part, place);
    held.set(part, { session, place });
    return session;
  }

  return {
    async follow(next, onProgress = () => {}) {
      plan = next;
      await drop((part, place) => placementOf(part).place !== place);
      const kept = [...roles.keys()].filter((part) => placementOf(part).stays);
      for (const [at, part] of kept.entries()) {
        await loaded(part);
        onProgress(at + 1, kept.length);
      }
    },
    session: (part) => ({
      run: async (inputs, signal) => (await loaded(part)).run(inputs, signal),
      release: () => drop((other) => other === part),
    }),
    keeps: (part) => placementOf(part).stays,
    release: () => drop(() => true),
  };
}
