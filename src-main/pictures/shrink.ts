import type { Picture } from '#main/lib/picture.ts';
import { readPngRows } from '#main/lib/read-png.ts';

/**
 * A PNG made `wantedWidth` pixels wide, in its proportions; one that is no wider stays as it is. Each new pixel is the mean of the area that it covers.
 * The rows go through one by one, so that of an enlarged picture only the small one is in memory. Throws as `readPngRows`.
 */
export async function shrinkPng(path: string, wantedWidth: number): Promise<Picture> {
  let small: Picture = { width: 0, height: 0, data: new Uint8Array() };
  await readPngRows(path, (sourceWidth, sourceHeight) => {
    const width = Math.min(wantedWidth, sourceWidth);
    const height = Math.max(1, Math.round((sourceHeight * width) / sourceWidth));
    small = { width, height, data: new Uint8Array(width * height * 3) };
    return areaMean(small, sourceWidth, sourceHeight);
  });
  return small;
}

/** Gathers source rows into the rows of `small`. A source pixel lies in one new pixel or across the edge of two. */
function areaMean(small: Picture, sourceWidth: number, sourceHeight: number): (rgb: Uint8Array, y: number) => void {
  const columns = coverage(sourceWidth, small.width);
  const rows = coverage(sourceHeight, small.height);
  const line = new Float32Array(small.width * 3);
  let sum = new Float32Array(small.width * 3);
  let next = new Float32Array(small.width * 3);
  return (rgb, y) => {
    line.fill(0);
    for (let x = 0, from = 0; x < sourceWidth; x++, from += 3) {
      const to = (columns.first[x] ?? 0) * 3;
      const share = columns.share[x] ?? 0;
      const rest = columns.rest[x] ?? 0;
      for (let channel = 0; channel < 3; channel++) {
        const value = rgb[from + channel] ?? 0;
        line[to + channel] = (line[to + channel] ?? 0) + value * share;
        if (rest > 0) line[to + 3 + channel] = (line[to + 3 + channel] ?? 0) + value * rest;
      }
    }
    addScaled(sum, line, rows.share[y] ?? 0);
    addScaled(next, line, rows.rest[y] ?? 0);
    const row = rows.first[y] ?? 0;
    if (row === rows.first[y + 1]) return;
    small.data.set(Uint8ClampedArray.from(sum), row * line.length);
    [sum, next] = [next, sum];
    next.fill(0);
  };
}

/** Where each of `from` pixels lies among `to` larger ones: the first that it touches, its share of that one's area, and its share of the one behind. */
function coverage(from: number, to: number): { first: Uint32Array; share: Float32Array; rest: Float32Array } {
  const first = new Uint32Array(from);
  const share = new Float32Array(from);
  const rest = new Float32Array(from);
  for (let i = 0; i < from; i++) {
    // in units of 1 / from of a new pixel's width all of these are whole numbers, so that no edge is missed by rounding
    const start = i * to;
    const pixel = Math.floor(start / from);
    const inside = Math.min(to, (pixel + 1) * from - start);
    first[i] = pixel;
    share[i] = inside / from;
    rest[i] = (to - inside) / from;
  }
  return { first, share, rest };
}

function addScaled(sum: Float32Array, line: Float32Array, factor: number): void {
  if (factor === 0) return;
  for (let i = 0; i < line.length; i++) sum[i] = (sum[i] ?? 0) + (line[i] ?? 0) * factor;
}
