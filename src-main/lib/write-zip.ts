import { crc32 } from 'node:zlib';

export interface ZipFile {
  /** Without folders. */
  name: string;
  /** Called when its turn comes. */
  read(): AsyncIterable<Uint8Array>;
}

interface Entry {
  name: Buffer;
  crc: number;
  sizeBytes: number;
  /** Of its header, from the start of the zip. */
  offset: number;
}

const VERSION_ZIP64 = 45;
/** Sizes follow the data (bit 3), names are UTF-8 (bit 11). */
const FLAGS = 0x0808;
/** 1 January 1980, the first date that zip knows: the files carry their own dates. */
const DOS_DATE = 0x0021;
const ALL_ONES_16 = 0xffff;
const ALL_ONES_32 = 0xffffffff;

/**
 * The bytes of a zip that stores the files as they are, because images are compressed already. Files are read one after the other; a zip of more than 4 GB
 * or 65,535 files is a Zip64. A file over 4 GB throws. Format: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.9, 4.3.12, 4.3.14 to 4.3.16, 4.5.3.
 */
export async function* writeZip(files: Iterable<ZipFile>): AsyncGenerator<Uint8Array> {
  const entries: Entry[] = [];
  let offset = 0;
  for (const { name, read } of files) {
    const entry: Entry = { name: Buffer.from(name), crc: 0, sizeBytes: 0, offset };
    const header = localHeader(entry);
    yield header;
    for await (const chunk of read()) {
      entry.crc = crc32(chunk, entry.crc);
      entry.sizeBytes += chunk.length;
      yield chunk;
    }
    if (entry.sizeBytes >= ALL_ONES_32) throw new RangeError(`${name} has ${entry.sizeBytes} bytes; a file in a zip can have 4 GB`);
    const sizes = dataDescriptor(entry);
    yield sizes;
    entries.push(entry);
    offset += header.length + entry.sizeBytes + sizes.length;
  }
  const directory = Buffer.concat(entries.map(centralHeader));
  yield directory;
  yield endOfDirectory(entries.length, directory.length, offset);
}

function localHeader({ name }: Entry): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(FLAGS, 6);
  header.writeUInt16LE(DOS_DATE, 12);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, name]);
}

function dataDescriptor({ crc, sizeBytes }: Entry): Buffer {
  const sizes = Buffer.alloc(16);
  sizes.writeUInt32LE(0x08074b50, 0);
  sizes.writeUInt32LE(crc, 4);
  sizes.writeUInt32LE(sizeBytes, 8);
  sizes.writeUInt32LE(sizeBytes, 12);
  return sizes;
}

function centralHeader({ name, crc, sizeBytes, offset }: Entry): Buffer {
  const isFar = offset >= ALL_ONES_32;
  const far = Buffer.alloc(isFar ? 12 : 0);
  if (isFar) {
    far.writeUInt16LE(1, 0);
    far.writeUInt16LE(8, 2);
    far.writeBigUInt64LE(BigInt(offset), 4);
  }
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(VERSION_ZIP64, 4);
  header.writeUInt16LE(isFar ? VERSION_ZIP64 : 20, 6);
  header.writeUInt16LE(FLAGS, 8);
  header.writeUInt16LE(DOS_DATE, 14);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(sizeBytes, 20);
  header.writeUInt32LE(sizeBytes, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(far.length, 30);
  header.writeUInt32LE(isFar ? ALL_ONES_32 : offset, 42);
  return Buffer.concat([header, name, far]);
}

function endOfDirectory(count: number, sizeBytes: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, ALL_ONES_16), 8);
  end.writeUInt16LE(Math.min(count, ALL_ONES_16), 10);
  end.writeUInt32LE(Math.min(sizeBytes, ALL_ONES_32), 12);
  end.writeUInt32LE(Math.min(offset, ALL_ONES_32), 16);
  if (count < ALL_ONES_16 && sizeBytes < ALL_ONES_32 && offset < ALL_ONES_32) return end;
  const far = Buffer.alloc(56);
  far.writeUInt32LE(0x06064b50, 0);
  far.writeBigUInt64LE(44n, 4);
  far.writeUInt16LE(VERSION_ZIP64, 12);
  far.writeUInt16LE(VERSION_ZIP64, 14);
  far.writeBigUInt64LE(BigInt(count), 24);
  far.writeBigUInt64LE(BigInt(count), 32);
  far.writeBigUInt64LE(BigInt(sizeBytes), 40);
  far.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + sizeBytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([far, locator, end]);
}
