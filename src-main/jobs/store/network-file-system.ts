import { statfs } from 'node:fs/promises';

/** Types of `statfs` on Linux. Source: https://man7.org/linux/man-pages/man2/statfs.2.html */
const names = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB 2'],
  [0x01021997, '9P'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x786f4256, 'a folder shared by VirtualBox'],
]);

/** The network file system that holds `folder`, or null for a local or unknown one. */
export async function networkFileSystemOf(folder: string, typeOf: (folder: string) => Promise<number> = systemType): Promise<string | null> {
  if (/^[\\/]{2}[^?.]/.test(folder)) return 'SMB'; // \\server\share on Windows
  const type = await typeOf(folder).catch(() => null); // unknown: nothing is claimed
  return type === null ? null : (names.get(type >>> 0) ?? null);
}

async function systemType(folder: string): Promise<number> {
  return process.platform === 'linux' ? (await statfs(folder)).type : 0;
}
