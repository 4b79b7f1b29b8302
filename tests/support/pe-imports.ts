import { readFileSync } from 'node:fs';

/** Sizes and fields of the two directories that name libraries: what the loader needs at once, and what is loaded when it is first called. */
const directories = [
  { index: 1, entryBytes: 20, nameAt: 12, isDelayed: false },
  { index: 13, entryBytes: 32, nameAt: 4, isDelayed: true },
] as const;

/** The libraries that a Windows program or library imports, in lower case. Format: https://learn.microsoft.com/windows/win32/debug/pe-format */
export function peImports(path: string): { name: string; isDelayed: boolean }[] {
  const bytes = readFileSync(path);
  const header = bytes.readUInt32LE(0x3c);
  if (bytes.toString('latin1', header, header + 4) !== 'PE\0\0') throw new Error(`${path} is not a Windows program or library.`);
  const sections = bytes.readUInt16LE(header + 6);
  const optional = header + 24;
  const isWide = bytes.readUInt16LE(optional) === 0x20b;
  const table = optional + bytes.readUInt16LE(header + 20);

  function offsetOf(address: number): number {
    for (let at = table; at < table + 40 * sections; at += 40) {
      const [virtualBytes, start, fileBytes, offset] = [8, 12, 16, 20].map((field) => bytes.readUInt32LE(at + field)) as [number, number, number, number];
      if (address >= start && address < start + Math.max(virtualBytes, fileBytes)) return address - start + offset;
    }
    throw new Error(`${path} has nothing at ${address}.`);
  }

  return directories.flatMap(({ index, entryBytes, nameAt, isDelayed }) => {
    const address = bytes.readUInt32LE(optional + (isWide ? 112 : 96) + 8 * index);
    const found: { name: string; isDelayed: boolean }[] = [];
    for (let at = address === 0 ? 0 : offsetOf(address); at !== 0; at += entryBytes) {
      const name = bytes.readUInt32LE(at + nameAt);
      if (name === 0) break;
      const start = offsetOf(name);
      found.push({ name: bytes.toString('latin1', start, bytes.indexOf(0, start)).toLowerCase(), isDelayed });
    }
    return found;
  });
}
