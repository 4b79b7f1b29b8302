interface Shape {
  width: number;
  height: number;
}

/** A row of images with the same height that fill the width together. */
export interface Row {
  /** Index of its first image. */
  first: number;
  count: number;
  heightPx: number;
}

/** Height of the date above the first row of a day. */
export const HEADING_PX = 40;

export const GAP_PX = 8;
/** Narrower and wider images are cropped to these shapes, so that one of them does not fill the screen. */
const NARROWEST = 0.5;
const WIDEST = 2.5;

/** Width through height of a tile. */
export function ratioOf(shape: Shape | null): number {
  return shape === null ? 1 : Math.min(WIDEST, Math.max(NARROWEST, shape.width / shape.height));
}

/** For each image, whether it is the first of its local day in a list that is sorted by time. */
export function dayStarts(timesMs: readonly number[]): boolean[] {
  let dayMs = Number.NaN;
  let nextDayMs = Number.NaN;
  return timesMs.map((timeMs) => {
    if (timeMs >= dayMs && timeMs < nextDayMs) return false;
    const day = new Date(timeMs);
    dayMs = day.setHours(0, 0, 0, 0);
    // not 24 hours later: a change of the clock makes a day longer or shorter
    nextDayMs = day.setDate(day.getDate() + 1);
    return true;
  });
}

/**
 * Rows of about `wantedPx` height in a box of `widthPx`. Each image that `starts` a group begins a row. The last row of a group keeps that height, so it may
 * leave space at its end.
 */
export function justifiedRows(shapes: ReadonlyArray<Shape | null>, widthPx: number, wantedPx: number, starts: readonly boolean[] = []): Row[] {
  const rows: Row[] = [];
  let first = 0;
  let ratios = 0;
  const heightOf = (sum: number, count: number) => (widthPx - GAP_PX * (count - 1)) / sum;
  const close = (end: number, heightPx: number) => {
    rows.push({ first, count: end - first, heightPx });
    first = end;
    ratios = 0;
  };
  const closeLast = (end: number) => {
    if (first < end) close(end, Math.min(wantedPx, heightOf(ratios, end - first)));
  };
  for (let index = 0; index < shapes.length; index++) {
    if (starts[index] === true) closeLast(index);
    const ratio = ratioOf(shapes[index] ?? null);
    const without = index === first ? Number.POSITIVE_INFINITY : heightOf(ratios, index - first);
    const together = heightOf(ratios + ratio, index + 1 - first);
    // the row is full: it ends before or behind this image, whichever height is nearer to the wanted one
    if (together <= wantedPx && without - wantedPx < wantedPx - together) close(index, without);
    ratios += ratio;
    if (heightOf(ratios, index + 1 - first) <= wantedPx) close(index + 1, heightOf(ratios, index + 1 - first));
  }
  closeLast(shapes.length);
  return rows;
}

/** The number of the row with the image at `index`. */
export function rowAt(rows: readonly Row[], index: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((rows[middle]?.first ?? 0) <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The image of the next or previous row that is nearest above or below the one at `index`; the same one at the edge. */
export function neighbourAcross(rows: readonly Row[], shapes: ReadonlyArray<Shape | null>, index: number, step: 1 | -1): number {
  const row = rows[rowAt(rows, index)];
  const target = rows[rowAt(rows, index) + step];
  if (row === undefined || target === undefined) return index;
  const centre = leftsOf(row, shapes)[index - row.first] ?? 0;
  const lefts = leftsOf(target, shapes);
  let nearest = 0;
  for (let at = 1; at < target.count; at++) if (Math.abs((lefts[at] ?? 0) - centre) < Math.abs((lefts[nearest] ?? 0) - centre)) nearest = at;
  return target.first + nearest;
}

/** The left edges of a row's tiles. */
export function leftsOf({ first, count, heightPx }: Row, shapes: ReadonlyArray<Shape | null>): number[] {
  let left = 0;
  return Array.from({ length: count }, (_, at) => {
    const now = left;
    left += ratioOf(shapes[first + at] ?? null) * heightPx + GAP_PX;
    return now;
  });
}
