import type { Range } from '@tanstack/react-virtual';

/** Rows that a strong flick passes during one slow frame. */
const AHEAD = 6;
/** Rows that the first frame of a flick in the other direction needs. */
const BEHIND = 3;
/** After a jump no row is reused; few rows make the visible ones appear sooner. */
const AROUND = 1;

/** The rows of a list to render: the visible ones, more in the direction of scrolling, and fewer behind it. */
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
