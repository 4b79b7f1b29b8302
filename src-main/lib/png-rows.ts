import { Readable } from 'node:stream';
import { constants, createDeflate } from 'node:zlib';
import type { Picture } from './picture.ts';

const FILTER_UP = 2;
/** Of pixels filtered in one go: small enough to keep the event loop free, large enough for zlib's thread to be busy. */
const BAND_BYTES = 1024 * 1024;

/**
 * The pixels as the content of an IDAT chunk. Every row is told as its difference to the row above, which leaves long runs or noise, and zlib looks for runs only:
 * of a picture of 4096 x 4096 pixels that is quicker and smaller than a search for repetitions, whatever the picture.
 */
export async function packRows(picture: Picture): Promise<Buffer> {
  const deflate = createDeflate({ level: 1, strategy: constants.Z_RLE, chunkSize: 256 * 1024 });
  const pieces: Buffer[] = [];
  for await (const piece of Readable.from(filteredBands(picture)).pipe(deflate)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Source: https://www.w3.org/TR/png-3/#9Filter-types */
function* filteredBands({ width, height, data }: Picture): Generator<Buffer> {
  const stride = width * 3;
  const rowsInBand = Math.max(1, Math.floor(BAND_BYTES / stride));
  for (let top = 0; top < height; top += rowsInBand) {
    const rows = Math.min(rowsInBand, height - top);
    const band = Buffer.allocUnsafe(rows * (stride + 1));
    for (let row = 0; row < rows; row++) {
      const y = top + row;
      const at = row * (stride + 1);
      band[at] = FILTER_UP;
      if (y === 0) band.set(data.subarray(0, stride), at + 1);
      else subtractRowAbove(data, y * stride, stride, band, at + 1);
    }
    yield band;
  }
}

function subtractRowAbove(data: Uint8Array, from: number, stride: number, band: Uint8Array, to: number): void {
  const above = from - stride;
  for (let i = 0; i < stride; i++) band[to + i] = (data[from + i] ?? 0) - (data[above + i] ?? 0);
}
