import type { Range } from '@tanstack/react-virtual';

/** What a strong flick moves while one slow frame is drawn. */
const AHEAD = 6;
/** What the first frame of a flick the other way needs. */
const BEHIND = 3;
/** After a jump, where no row stays: the sooner those in view are there. */
const AROUND = 1;

/** Which rows of a list shall exist: those in view, more of those that scrolling goes to, and fewer of those that it leaves. */
export function createRowsAhead(): (view: Pick<Range, 'startIndex' | 'endIndex' | 'count'>) => number[] {
  let startBefore = 0;
  return ({ startIndex, endIndex, count }) => {
    const isGoingUp = startIndex < startBefore;
    const isJump = Math.abs(startIndex - startBefore) > endIndex - startIndex + AHEAD;
    startBefore = startIndex;
    const [ahead, behind] = isJump ? [AROUND, AROUND] : [AHEAD, BEHIND];
    const first = Math.max(0, startIndex - (isGoingUp ? ahead : behind));
    const last = Math.min(count - 1, endIndex + (isGoingUp ? behind : ahead));
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, row) => first + row);
  };
}
