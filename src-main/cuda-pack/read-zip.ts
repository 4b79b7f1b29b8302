import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { readFully } from '#main/lib/read-fully.ts';
import { damagedPack } from './damaged-pack.ts';

/** A file in a zip archive as the archive's directory tells it. */
export interface ZipEntry {
  /** With `/` between folders. */
  path: string;
  sizeBytes: number;
  packedBytes: number;
  isDeflated: boolean;
  crc32: number;
  headerOffset: number;
}

const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const END_MARK = 0x06054b50;
const ENTRY_MARK = 0x02014b50;
const ENTRY_BYTES = 46;
const HEADER_MARK = 0x04034b50;
const HEADER_BYTES = 30;
/** In its place stands a 64-bit value elsewhere. */
const IN_ZIP64 = 0xffff_ffff;
const STORED = 0;
const DEFLATED = 8;

/**
 * The directory of a zip archive; archives over 4 GB (zip64) are not read. Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 * Throws `cuda_pack_damaged`.
 */
export async function readZipDirectory(file: FileHandle, name: string): Promise<ZipEntry[]> {
  const { size } = await file.stat();
  const tail = await readAt(file, Math.max(0, size - END_BYTES - MAX_COMMENT_BYTES), Math.min(size, END_BYTES + MAX_COMMENT_BYTES), name);
  const end = findEnd(tail, name);
  const [count, bytes, offset] = [tail.readUInt16LE(end + 10), tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
  if (offset === IN_ZIP64 || offset + bytes > size) throw damagedPack(name, 'is larger than a zip archive may be, or its directory lies outside of it');
  const directory = await readAt(file, offset, bytes, name);
  const entries: ZipEntry[] = [];
  for (let at = 0; entries.length < count; ) {
    if (at + ENTRY_BYTES > bytes || directory.readUInt32LE(at) !== ENTRY_MARK) throw damagedPack(name, `has no entry ${entries.length} in its directory`);
    const [nameBytes, extraBytes, commentBytes] = [directory.readUInt16LE(at + 28), directory.readUInt16LE(at + 30), directory.readUInt16LE(at + 32)];
    const path = directory.toString('utf8', at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes);
    const method = directory.readUInt16LE(at + 10);
    const isEncrypted = (directory.readUInt16LE(at + 8) & 1) === 1;
    if (isEncrypted || (method !== STORED && method !== DEFLATED)) throw damagedPack(name, `packs ${path} in a way that is not read (method ${method})`);
    entries.push({
      path,
      isDeflated: method === DEFLATED,
      crc32: directory.readUInt32LE(at + 16),
      packedBytes: directory.readUInt32LE(at + 20),
      sizeBytes: directory.readUInt32LE(at + 24),
      headerOffset: directory.readUInt32LE(at + 42),
    });
    at += ENTRY_BYTES + nameBytes + extraBytes + commentBytes;
  }
  return entries;
}

/** The bytes of one file, unpacked; never more than the directory tells. Throws `cuda_pack_damaged` at the end where they are not those that were packed. */
export async function* unzipEntry(file: FileHandle, name: string, entry: ZipEntry): AsyncGenerator<Buffer> {
  const header = await readAt(file, entry.headerOffset, HEADER_BYTES, name);
  if (header.readUInt32LE(0) !== HEADER_MARK) throw damagedPack(name, `has no ${entry.path} where its directory says`);
  // the lengths of the local header may differ from those of the directory
  const start = entry.headerOffset + HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
  const packed = entry.packedBytes === 0 ? [] : file.createReadStream({ start, end: start + entry.packedBytes - 1, autoClose: false, highWaterMark: 1 << 20 });
  const unpacked = entry.isDeflated ? inflated(packed, name, entry) : packed;
  let [bytes, sum] = [0, 0];
  for await (const chunk of unpacked as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > entry.sizeBytes) break;
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (bytes !== entry.sizeBytes || sum !== entry.crc32) throw damagedPack(name, `holds a damaged ${entry.path}`);
}

async function* inflated(packed: AsyncIterable<Buffer> | Iterable<Buffer>, name: string, entry: ZipEntry): AsyncGenerator<Buffer> {
  const inflate = createInflateRaw({ chunkSize: 1 << 20 });
  const fed = pipeline(packed, inflate);
  fed.catch(() => {}); // the loop below throws the same
  try {
    for await (const chunk of inflate) yield chunk;
    await fed;
  } catch (cause) {
    throw damagedPack(name, `holds a damaged ${entry.path}`, cause);
  }
}

function findEnd(tail: Buffer, name: string): number {
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) === END_MARK && at + END_BYTES + tail.readUInt16LE(at + 20) === tail.byteLength) return at;
  }
  throw damagedPack(name, 'is no zip archive');
}

async function readAt(file: FileHandle, position: number, length: number, name: string): Promise<Buffer> {
  const bytes = await readFully(file, position, length);
  if (bytes.byteLength < length) throw damagedPack(name, 'ends too early');
  return Buffer.from(bytes.buffer);
}
