import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, inflate, type ZlibOptions } from 'node:zlib';
import { AppError } from '#shared/protocol/errors.ts';
import { PNG_SIGNATURE } from './png.ts';
import type { RgbImage } from './rgb-image.ts';
import { splitAlpha } from './split-alpha.ts';

const MAX_FILE_BYTES = 256 * 1024 * 1024;
const MAX_PIXELS = 8192 * 8192;

const inflateAsync = promisify<Uint8Array, ZlibOptions, Buffer>(inflate);

/**
 * Reads a PNG that this program wrote: RGB or RGBA, 8 bits per channel, not interlaced. Files of other programs are for `images/`, which converts their colours.
 * Throws `AppError` `picture_damaged` for a missing or incomplete file, any other layout, more than 67,108,864 pixels or 256 MiB.
 */
export async function decodePng(path: string): Promise<RgbImage> {
  try {
    return await decode(await readBounded(path));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw damagedPng(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

async function decode(file: Buffer): Promise<RgbImage> {
  const chunks = pngChunks(file);
  const { width, height, channels } = parsePngHeader(chunks.next().value?.data);
  const packed = [...chunks].filter(({ type }) => type === 'IDAT').map(({ data }) => data);
  const stride = 1 + width * channels;
  const rows = await inflateAsync(Buffer.concat(packed), { maxOutputLength: height * stride + 1 }).catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === 'ERR_BUFFER_TOO_LARGE' ? damagedPng(`it unpacks to more than its ${height} rows`) : cause;
  });
  if (rows.length > height * stride) throw damagedPng(`it unpacks to more than its ${height} rows`);
  if (rows.length < height * stride) throw damagedPng(`it has ${Math.floor(rows.length / stride)} of its ${height} rows`);
  const data = new Uint8Array(width * height * channels);
  let above = new Uint8Array(width * channels);
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * above.length, (y + 1) * above.length);
    row.set(rows.subarray(y * stride + 1, (y + 1) * stride));
    unfilter(rows[y * stride] ?? 0, row, above, channels);
    above = row;
  }
  return channels === 3 ? { width, height, data } : { width, height, ...splitAlpha(data) };
}

async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > MAX_FILE_BYTES) throw damagedPng(`it has ${size} bytes, at most ${MAX_FILE_BYTES} are read`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** The chunks of a whole PNG from IHDR to IEND, each with its CRC checked when it is reached; `bytes` is all of a chunk. Throws `picture_damaged`. */
export function* pngChunks(file: Buffer): Generator<{ type: string; data: Buffer; bytes: Buffer }> {
  if (!file.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) throw damagedPng('it does not start with the PNG signature');
  let at = PNG_SIGNATURE.length;
  for (let count = 0; ; count++) {
    if (at + 12 > file.length) throw damagedPng(`it ends at byte ${file.length} without an IEND chunk`);
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const end = at + 12 + length;
    if (end > file.length) throw damagedPng(`the ${JSON.stringify(type)} chunk at byte ${at} claims ${length} bytes, ${file.length - at - 12} are left`);
    const data = file.subarray(at + 8, end - 4);
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4))
      throw damagedPng(`the ${JSON.stringify(type)} chunk at byte ${at} has a wrong CRC`);
    if ((count === 0) !== (type === 'IHDR')) throw damagedPng(`chunk ${count} is ${JSON.stringify(type)}; IHDR must be the first, and only the first`);
    yield { type, data, bytes: file.subarray(at, end) };
    if (type === 'IEND') return;
    at = end;
  }
}

/** Source: https://www.w3.org/TR/png-3/#11IHDR */
function parsePngHeader(header: Buffer | undefined): { width: number; height: number; channels: 3 | 4 } {
  if (header?.length !== 13) throw damagedPng(`its IHDR chunk has ${header?.length ?? 0} bytes, 13 are needed`);
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const [bitDepth, colourType, , , interlace] = header.subarray(8);
  if (width === 0 || height === 0 || width * height > MAX_PIXELS) throw damagedPng(`it is ${width} x ${height} pixels, 1 to ${MAX_PIXELS} can be read`);
  if ((colourType !== 2 && colourType !== 6) || bitDepth !== 8 || interlace !== 0) {
    throw damagedPng(`it has colour type ${colourType}, bit depth ${bitDepth} and interlace method ${interlace}; this program writes 2 or 6, 8 and 0`);
  }
  return { width, height, channels: colourType === 2 ? 3 : 4 };
}

/** Undoes a row's filter in place. Source: https://www.w3.org/TR/png-3/#9Filter-types */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, channels: number): void {
  if (filter === 0) return;
  if (filter > 4) throw damagedPng(`a row has filter type ${filter}, allowed are 0 to 4`);
  // up: the filter of every row that this program writes
  if (filter === 2) {
    for (let i = 0; i < row.length; i++) row[i] = at(row, i) + at(above, i);
    return;
  }
  for (let i = 0; i < row.length; i++) {
    const left = i < channels ? 0 : at(row, i - channels);
    const upLeft = i < channels ? 0 : at(above, i - channels);
    row[i] = at(row, i) + (filter === 1 ? left : filter === 3 ? (left + at(above, i)) >> 1 : paeth(left, at(above, i), upLeft));
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

export function damagedPng(what: string, cause?: unknown): AppError<'picture_damaged'> {
  return new AppError('picture_damaged', `The PNG cannot be read: ${what}. Use another copy of the image or generate it again.`, {}, { cause });
}
