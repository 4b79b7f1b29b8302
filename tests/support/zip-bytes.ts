import { crc32, deflateRawSync } from 'node:zlib';

/** A zip archive of `files`, by path; every second one is stored and not deflated. Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
export function zipBytes(files: ReadonlyMap<string, Buffer>): Buffer {
  const [parts, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const [at, [path, bytes]] of [...files].entries()) {
    const method = at % 2 === 1 ? 0 : 8;
    const packed = method === 0 ? bytes : deflateRawSync(bytes);
    const name = Buffer.from(path);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(crc32(bytes), 10);
    fields.writeUInt32LE(packed.byteLength, 14);
    fields.writeUInt32LE(bytes.byteLength, 18);
    fields.writeUInt16LE(name.byteLength, 22);
    const [localMark, entryMark, madeBy, rest] = [Buffer.from('PK\x03\x04'), Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), Buffer.alloc(14)];
    rest.writeUInt32LE(offset, 10);
    parts.push(localMark, fields, name, packed);
    directory.push(entryMark, madeBy, fields, rest, name);
    offset += 30 + name.byteLength + packed.byteLength;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(files.size, 8);
  end.writeUInt16LE(files.size, 10);
  end.writeUInt32LE(listed.byteLength, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listed, end]);
}
