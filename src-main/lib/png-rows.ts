import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, deflate, deflateRaw, type ZlibOptions } from 'node:zlib';
import { joinAdler32 } from './adler32.ts';
import type { RgbImage } from './rgb-image.ts';

const FILTER_UP = 2;
/** Pixels filtered in one go: few enough to keep the event loop free, enough for zlib's threads and for a Huffman table per band. */
const BAND_BYTES = { least: 128 * 1024, most: 1024 * 1024 };
/** Bands compressed at a time, as many as libuv has threads. */
const BANDS_AT_ONCE = 4;
/** With a larger share of 4-byte words equal to the row above, a search for runs is worth its time. */
const SHARE_OF_RUNS = 0.5;
/** Deflate with a window of 32 KiB at its fastest level. Source: https://www.rfc-editor.org/rfc/rfc1950#section-2.2 */
const ZLIB_HEADER = Uint8Array.of(0x78, 0x01);

const packRaw = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);
const packWithSum = promisify<Uint8Array, ZlibOptions, Buffer>(deflate);

interface Band {
  /** Filtered rows, each after the byte of its filter type. */
  rows: Buffer;
  strategy: number;
  isLast: boolean;
}

/**
 * Compresses the pixels to pieces of a zlib stream, one per IDAT chunk. Each row becomes its difference to the row above, which leaves long runs or noise:
 * run lengths for flat bands, Huffman coding alone for the rest. For images of any kind that is faster and smaller than a search for repetitions.
 * Bands of rows are compressed side by side, each to a whole byte, so that the pieces can be joined.
 */
export async function packRows(image: RgbImage): Promise<Uint8Array[]> {
  const packing: Promise<{ piece: Buffer; adler32: number; length: number }>[] = [];
  for (const band of filteredBands(image)) {
    packing.push(packBand(band));
    await (packing.length < BANDS_AT_ONCE ? nextTurn() : packing.at(-BANDS_AT_ONCE));
  }
  const bands = await Promise.all(packing);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(bands.reduce((joined, { adler32, length }) => joinAdler32(joined, adler32, length), 1));
  return [ZLIB_HEADER, ...bands.map(({ piece }) => piece), sum];
}

async function packBand({ rows, strategy, isLast }: Band): Promise<{ piece: Buffer; adler32: number; length: number }> {
  const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
  // zlib computes the sum far faster than a script: a stored stream ends with it
  const [piece, stored] = await Promise.all([
    packRaw(rows, { level: 1, strategy, chunkSize: BAND_BYTES.most / 4, finishFlush }),
    packWithSum(rows, { level: 0, chunkSize: rows.length + 1024 }),
  ]);
  return { piece, adler32: stored.readUInt32BE(stored.length - 4), length: rows.length };
}

/** RGB and alpha as RGBA. */
function interleave(data: Uint8Array, alpha: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(4 * alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    out[4 * i] = data[3 * i] ?? 0;
    out[4 * i + 1] = data[3 * i + 1] ?? 0;
    out[4 * i + 2] = data[3 * i + 2] ?? 0;
    out[4 * i + 3] = alpha[i] ?? 0;
  }
  return out;
}

/** Source: https://www.w3.org/TR/png-3/#9Filter-types */
function* filteredBands({ height, data: rgb, alpha }: RgbImage): Generator<Band> {
  const data = alpha === undefined ? rgb : interleave(rgb, alpha);
  const stride = data.length / height;
  const bandBytes = Math.min(BAND_BYTES.most, Math.max(BAND_BYTES.least, (stride * height) / BANDS_AT_ONCE));
  const rowsInBand = Math.max(1, Math.floor(bandBytes / stride));
  for (let top = 0; top < height; top += rowsInBand) {
    const rowCount = Math.min(rowsInBand, height - top);
    const rows = Buffer.allocUnsafe(rowCount * (stride + 1));
    let equalWords = 0;
    for (let row = 0; row < rowCount; row++) {
      const y = top + row;
      const at = row * (stride + 1);
      rows[at] = FILTER_UP;
      if (y === 0) rows.set(data.subarray(0, stride), at + 1);
      else equalWords += subtractRowAbove(data, y * stride, stride, rows, at + 1);
    }
    const strategy = equalWords * 4 > SHARE_OF_RUNS * rows.length ? constants.Z_RLE : constants.Z_HUFFMAN_ONLY;
    yield { rows, strategy, isLast: top + rowCount === height };
  }
}

/** Four bytes at a time: with the top bits handled apart, no byte borrows from its neighbour. Returns the number of words equal to the row above. */
function subtractRowAbove(data: Uint8Array, from: number, stride: number, rows: Uint8Array, to: number): number {
  const pixels = new DataView(data.buffer, data.byteOffset + from - stride, 2 * stride);
  const out = new DataView(rows.buffer, rows.byteOffset + to, stride);
  let equalWords = 0;
  let i = 0;
  for (; i + 4 <= stride; i += 4) {
    const above = pixels.getInt32(i, true);
    const own = pixels.getInt32(i + stride, true);
    if (above === own) equalWords++;
    out.setInt32(i, ((own | 0x80808080) - (above & 0x7f7f7f7f)) ^ ((own ^ ~above) & 0x80808080), true);
  }
  for (; i < stride; i++) rows[to + i] = (data[from + i] ?? 0) - (data[from - stride + i] ?? 0);
  return equalWords;
}
