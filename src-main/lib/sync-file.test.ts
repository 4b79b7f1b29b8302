import { expect, test } from 'vitest';
import { syncFile } from './sync-file.ts';

const failing = (code: string) => ({ sync: () => Promise.reject(Object.assign(new Error(code), { code })) });

test.each(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])('%s: a file system that cannot sync', async (code) => {
  await expect(syncFile(failing(code))).resolves.toBeUndefined();
});

test.each(['EIO', 'ENOSPC', 'EDQUOT', 'EBADF'])('%s is an error', async (code) => {
  await expect(syncFile(failing(code))).rejects.toMatchObject({ code });
});
