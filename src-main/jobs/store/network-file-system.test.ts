import { expect, test } from 'vitest';
import { networkFileSystemOf } from './network-file-system.ts';

test.each([
  [0x6969, 'NFS'],
  [-11317950, 'CIFS'], // 0xff534d42 as a signed number
  [0xef53, null], // ext4
  [0x65735546, null], // FUSE: local or not is unknown
])('statfs type %d is %s', async (type, name) => {
  expect(await networkFileSystemOf('/data', async () => type)).toBe(name);
});

test('a share of Windows is one, whatever its type; a file system that does not answer is not called one', async () => {
  expect(await networkFileSystemOf('\\\\server\\share', async () => 0)).toBe('SMB');
  expect(await networkFileSystemOf('/data', () => Promise.reject(new Error('ENOSYS')))).toBeNull();
});
