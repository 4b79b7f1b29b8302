import { errnoCode } from './errno-code.ts';

/** What a file system answers that cannot sync this kind of file: vboxsf, older CIFS and some FUSE file systems for folders. */
const UNSUPPORTED = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** fsync where the file system supports it. What was written is complete either way; every other error is passed on. */
export async function syncFile(file: { sync(): Promise<void> }): Promise<void> {
  try {
    await file.sync();
  } catch (cause) {
    if (!UNSUPPORTED.has(errnoCode(cause))) throw cause;
  }
}
