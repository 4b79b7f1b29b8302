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
    shrinkRow(rgb, line, columns);
    addScaled(sum, line, rows.share[y] ?? 0);
    addScaled(next, line, rows.rest[y] ?? 0);
    const row = rows.first[y] ?? 0;
    if (row === rows.first[y + 1]) return;
    small.data.set(Uint8ClampedArray.from(sum), row * line.length);
    [sum, next] = [next, sum];
    next.fill(0);
  };
}

function shrinkRow(rgb: Uint8Array, line: Float32Array, { first, share, rest }: Coverage): void {
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let x = 0, from = 0; x < first.length; x++, from += 3) {
    const r = rgb[from] ?? 0;
    const g = rgb[from + 1] ?? 0;
    const b = rgb[from + 2] ?? 0;
    const weight = share[x] ?? 0;
    red += r * weight;
    green += g * weight;
    blue += b * weight;
    const pixel = first[x] ?? 0;
    if (pixel === first[x + 1]) continue;
    line[pixel * 3] = red;
    line[pixel * 3 + 1] = green;
    line[pixel * 3 + 2] = blue;
    // what reaches over the edge begins the next one
    const over = rest[x] ?? 0;
    red = r * over;
    green = g * over;
    blue = b * over;
  }
}

interface Coverage {
  /** Of each source pixel: the first new one that it touches. */
  first: Uint32Array;
  /** Its share of that one's area, and of the one behind. */
  share: Float32Array;
  rest: Float32Array;
}

/** Where each of `from` pixels lies among `to` larger ones. */
function coverage(from: number, to: number): Coverage {
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
