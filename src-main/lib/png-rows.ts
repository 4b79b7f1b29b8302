import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, deflate, deflateRaw, type ZlibOptions } from 'node:zlib';
import { joinAdler32 } from './adler32.ts';
import type { Picture } from './picture.ts';

const FILTER_UP = 2;
/** Of pixels filtered in one go: small enough to keep the event loop free, large enough that zlib's threads are busy and a band's own table costs nothing. */
const BAND_BYTES = { least: 128 * 1024, most: 1024 * 1024 };
/** Bands that are packed at a time, as many as libuv has threads. */
const BANDS_AT_ONCE = 4;
/** Of a band, words of four bytes that are like those above: with more of them, runs are worth a search. */
const SHARE_OF_RUNS = 0.5;
/** Deflate with a window of 32 KiB at its fastest level. Source: https://www.rfc-editor.org/rfc/rfc1950#section-2.2 */
const ZLIB_HEADER = Uint8Array.of(0x78, 0x01);

const packRaw = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);
const packWithSum = promisify<Uint8Array, ZlibOptions, Buffer>(deflate);

interface Band {
  /** Filtered rows, each behind the byte that names its filter. */
  rows: Buffer;
  strategy: number;
  isLast: boolean;
}

/**
 * The pixels as pieces of a zlib stream, for one IDAT chunk each. Every row is told as its difference to the row above, which leaves long runs or noise. Noise
 * is only coded by how frequent each byte is, in flat bands runs are looked for too: of a picture of 4096 x 4096 pixels that is quicker and smaller than a search
 * for repetitions, whatever the picture. Bands of rows are packed side by side, each up to a whole byte, so that their pieces stand behind each other.
 */
export async function packRows(picture: Picture): Promise<Uint8Array[]> {
  const packing: Promise<{ piece: Buffer; adler32: number; length: number }>[] = [];
  for (const band of filteredBands(picture)) {
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
  // zlib sums up far faster than a script: what it stores without packing ends with the sum
  const [piece, stored] = await Promise.all([
    packRaw(rows, { level: 1, strategy, chunkSize: BAND_BYTES.most / 4, finishFlush }),
    packWithSum(rows, { level: 0, chunkSize: rows.length + 1024 }),
  ]);
  return { piece, adler32: stored.readUInt32BE(stored.length - 4), length: rows.length };
}

/** Source: https://www.w3.org/TR/png-3/#9Filter-types */
function* filteredBands({ width, height, data }: Picture): Generator<Band> {
  const stride = width * 3;
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

/** Four bytes at a time: with the top bit of each kept apart, no byte borrows from its neighbour. Returns how many words were equal to those above. */
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
