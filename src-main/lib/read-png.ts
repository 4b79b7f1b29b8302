import { open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createInflate } from 'node:zlib';
import { AppError } from '#shared/protocol/errors.ts';
import type { Picture } from './picture.ts';
import { damaged, pngChunks } from './png.ts';

const MAX_FILE_BYTES = 256 * 1024 * 1024;
const MAX_PIXELS = 8192 * 8192;

/** Takes row `y` of a picture: RGB, [width, 3]. The array is used again for the next row. */
export type TakeRow = (rgb: Uint8Array, y: number) => void;

/** What IHDR says. Source: https://www.w3.org/TR/png-3/#11IHDR */
interface Layout {
  width: number;
  height: number;
  /** Samples of a pixel: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. */
  channels: number;
  bytesPerSample: 1 | 2;
}

const channelsByColourType = new Map([
  [0, 1],
  [2, 3],
  [4, 2],
  [6, 4],
]);

/**
 * Reads a PNG file row by row, without ever holding all of its pixels: gray is widened to RGB, alpha and bits beyond 8 are dropped.
 * @param begin Hears the size and answers who takes the rows.
 * Throws `AppError` `picture_damaged` where the file is missing, is no whole PNG, has a palette, less than 8 bits a sample or interlacing (which this program
 * does not write), more than 67,108,864 pixels or 256 MiB.
 */
export async function readPngRows(path: string, begin: (width: number, height: number) => TakeRow): Promise<void> {
  try {
    const chunks = pngChunks(await readBounded(path));
    const layout = parseLayout(chunks.next().value?.data);
    await inflateRows(packedPixels(chunks), layout, begin(layout.width, layout.height));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw damaged(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** Reads a PNG file as RGB; see `readPngRows`. */
export async function decodePng(path: string): Promise<Picture> {
  let picture: Picture = { width: 0, height: 0, data: new Uint8Array() };
  await readPngRows(path, (width, height) => {
    const data = new Uint8Array(width * height * 3);
    picture = { width, height, data };
    return (row, y) => data.set(row, y * width * 3);
  });
  return picture;
}

async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > MAX_FILE_BYTES) throw damaged(`it has ${size} bytes, at most ${MAX_FILE_BYTES} are read`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function parseLayout(header: Buffer | undefined): Layout {
  if (header?.length !== 13) throw damaged(`its IHDR chunk has ${header?.length ?? 0} bytes, 13 are needed`);
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const [bitDepth, colourType, , , interlace] = header.subarray(8);
  if (width === 0 || height === 0 || width * height > MAX_PIXELS) throw damaged(`it is ${width} x ${height} pixels, 1 to ${MAX_PIXELS} can be read`);
  const channels = channelsByColourType.get(colourType ?? -1);
  if (channels === undefined || (bitDepth !== 8 && bitDepth !== 16) || interlace !== 0) {
    throw damaged(`it has colour type ${colourType}, bit depth ${bitDepth} and interlace method ${interlace}; 0, 2, 4 or 6, 8 or 16, and 0 can be read`);
  }
  return { width, height, channels, bytesPerSample: bitDepth === 16 ? 2 : 1 };
}

function* packedPixels(chunks: Iterable<{ type: string; data: Buffer }>): Generator<Buffer> {
  for (const { type, data } of chunks) if (type === 'IDAT' && data.length > 0) yield data;
}

async function inflateRows(packed: Iterable<Buffer>, layout: Layout, takeRow: TakeRow): Promise<void> {
  const { width, height, channels, bytesPerSample } = layout;
  const pixelBytes = channels * bytesPerSample;
  const rgb = new Uint8Array(width * 3);
  // a row as it comes is its filter type and its bytes; the row above the first one is all zero
  let row = new Uint8Array(1 + width * pixelBytes);
  let above = new Uint8Array(row.length);
  let filled = 0;
  let y = 0;
  // what goes wrong on the way comes out of the loop
  for await (const piece of pipeline(Readable.from(packed), createInflate({ chunkSize: 256 * 1024 }), () => {})) {
    const bytes: Uint8Array = piece;
    for (let at = 0; at < bytes.length; ) {
      if (y === height) throw damaged(`it unpacks to more than its ${height} rows`);
      const taken = Math.min(bytes.length - at, row.length - filled);
      row.set(bytes.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled < row.length) break;
      unfilter(row, above, pixelBytes);
      takeRow(toRgb(row, rgb, layout), y);
      [row, above, filled] = [above, row, 0];
      y++;
    }
  }
  if (y < height) throw damaged(`it has ${y} rows of its ${height}`);
}

/** Undoes a row's filter in place. Source: https://www.w3.org/TR/png-3/#9Filter-types */
function unfilter(row: Uint8Array, above: Uint8Array, pixelBytes: number): void {
  const filter = row[0];
  if (filter === 0) return;
  const first = 1 + pixelBytes;
  if (filter === 1) {
    for (let i = first; i < row.length; i++) row[i] = at(row, i) + at(row, i - pixelBytes);
  } else if (filter === 2) {
    for (let i = 1; i < row.length; i++) row[i] = at(row, i) + at(above, i);
  } else if (filter === 3) {
    for (let i = 1; i < row.length; i++) row[i] = at(row, i) + (((i < first ? 0 : at(row, i - pixelBytes)) + at(above, i)) >> 1);
  } else if (filter === 4) {
    for (let i = 1; i < first; i++) row[i] = at(row, i) + at(above, i);
    for (let i = first; i < row.length; i++) row[i] = at(row, i) + paeth(at(row, i - pixelBytes), at(above, i), at(above, i - pixelBytes));
  } else {
    throw damaged(`a row has filter type ${filter}, 0 to 4 exist`);
  }
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

function paeth(left: number, up: number, upLeft: number): number {
  const toLeft = Math.abs(up - upLeft);
  const toUp = Math.abs(left - upLeft);
  const toUpLeft = Math.abs(left + up - 2 * upLeft);
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}

/** The row's samples as RGB of 8 bits: of 16 bits the high byte comes first. */
function toRgb(row: Uint8Array, rgb: Uint8Array, { width, channels, bytesPerSample }: Layout): Uint8Array {
  if (channels === 3 && bytesPerSample === 1) return row.subarray(1);
  const pixelBytes = channels * bytesPerSample;
  // gray is its own red, green and blue
  const step = channels < 3 ? 0 : bytesPerSample;
  for (let x = 0, from = 1, to = 0; x < width; x++, from += pixelBytes, to += 3) {
    rgb[to] = at(row, from);
    rgb[to + 1] = at(row, from + step);
    rgb[to + 2] = at(row, from + 2 * step);
  }
  return rgb;
}
