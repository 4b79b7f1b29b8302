import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, deflateRaw, type ZlibOptions } from 'node:zlib';
import { Adler32 } from './adler32.ts';
import type { Picture } from './picture.ts';

const FILTER_UP = 2;
/** Of pixels filtered in one go: small enough to keep the event loop free, large enough that zlib's threads are busy. */
const BAND_BYTES = 1024 * 1024;
/** Bands that are packed at a time, as many as libuv has threads. */
const BANDS_AT_ONCE = 4;
/** Deflate with a window of 32 KiB at its fastest level. Source: https://www.rfc-editor.org/rfc/rfc1950#section-2.2 */
const ZLIB_HEADER = Uint8Array.of(0x78, 0x01);

const pack = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);

/**
 * The pixels as the content of an IDAT chunk. Every row is told as its difference to the row above, which leaves long runs or noise, and zlib looks for runs only:
 * of a picture of 4096 x 4096 pixels that is quicker and smaller than a search for repetitions, whatever the picture. Bands of rows are packed side by side, each
 * up to a whole byte, so that their pieces stand behind each other as one stream.
 */
export async function packRows(picture: Picture): Promise<Buffer> {
  const sum = new Adler32();
  const pieces: Promise<Buffer>[] = [];
  for (const { band, isLast } of filteredBands(picture)) {
    sum.add(band);
    const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
    pieces.push(pack(band, { level: 1, strategy: constants.Z_RLE, chunkSize: BAND_BYTES / 4, finishFlush }));
    await (pieces.length < BANDS_AT_ONCE ? nextTurn() : pieces.at(-BANDS_AT_ONCE));
  }
  return Buffer.concat([ZLIB_HEADER, ...(await Promise.all(pieces)), sum.bytes()]);
}

/** Source: https://www.w3.org/TR/png-3/#9Filter-types */
function* filteredBands({ width, height, data }: Picture): Generator<{ band: Buffer; isLast: boolean }> {
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
    yield { band, isLast: top + rows === height };
  }
}

/** Four bytes at a time: with the top bit of each kept apart, no byte borrows from its neighbour. */
function subtractRowAbove(data: Uint8Array, from: number, stride: number, band: Uint8Array, to: number): void {
  const pixels = new DataView(data.buffer, data.byteOffset + from - stride, 2 * stride);
  const out = new DataView(band.buffer, band.byteOffset + to, stride);
  let i = 0;
  for (; i + 4 <= stride; i += 4) {
    const above = pixels.getInt32(i, true);
    const own = pixels.getInt32(i + stride, true);
    out.setInt32(i, ((own | 0x80808080) - (above & 0x7f7f7f7f)) ^ ((own ^ ~above) & 0x80808080), true);
  }
  for (; i < stride; i++) band[to + i] = (data[from + i] ?? 0) - (data[from - stride + i] ?? 0);
}
