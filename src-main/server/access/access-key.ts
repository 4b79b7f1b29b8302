import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { makeFolder } from '#main/lib/make-folder.ts';
import { readRegularFile } from '#main/lib/read-regular-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** Name of the browser's cookie for the key. */
export const KEY_COOKIE = 'zimage_key';

/** The secret that other machines must know. Compared in constant time; a key that was rotated on disk counts from the next request on. */
export interface AccessKey {
  text(): string;
  matches(candidate: string): boolean;
  /** What the browser's cookie holds: derived from the key, which it does not reveal. */
  cookieValue(): string;
  matchesCookie(candidate: string): boolean;
}

/** Reads `access-key` in the data folder, or makes one there with mode 0600. Throws `folder_not_writable`. */
export function loadAccessKey(dataDir: string): AccessKey {
  const path = join(dataDir, 'access-key');
  if (readKey(path) === '') rotateAccessKey(dataDir);
  restrict(path);
  let readAt = '';
  let key = '';

  function current(): string {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    const version = `${found?.mtimeNs}.${found?.ino}`;
    if (version !== readAt) {
      key = readKey(path) || rotateAccessKey(dataDir);
      readAt = version;
    }
    return key;
  }

  return {
    text: current,
    matches: (candidate) => equalInConstantTime(candidate, current()),
    cookieValue: () => cookieFor(current()),
    matchesCookie: (candidate) => equalInConstantTime(candidate, cookieFor(current())),
  };
}

/** Empty without a file. */
function readKey(path: string): string {
  try {
    return readRegularFile(path).toString('utf8').trim();
  } catch (cause) {
    if (errnoCode(cause) === 'ENOENT') return '';
    const message = `The access key ${path} cannot be read (${errnoCode(cause)}). Let this user read it, or remove it: then a new key is made.`;
    throw new AppError('folder_not_writable', message, { folder: dirname(path) }, { cause });
  }
}

/** Replaces the key, so the old one is refused from now on. Returns the new key. Throws `folder_not_writable`. */
export function rotateAccessKey(dataDir: string): string {
  const path = join(dataDir, 'access-key');
  const key = randomBytes(24).toString('base64url');
  const temporary = `${path}.new`;
  try {
    makeFolder(dataDir, 0o700);
    writeFileSync(temporary, `${key}\n`, { mode: 0o600, flush: true });
    renameSync(temporary, path);
  } catch (cause) {
    const message = `The access key cannot be written to ${dataDir} (${errnoCode(cause)}). Give this user the right to write there, or choose another --data-dir.`;
    throw new AppError('folder_not_writable', message, { folder: dataDir }, { cause });
  }
  return key;
}

/** A file system without rights cannot keep others out; the start has warned about the data folder then. */
function restrict(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch (cause) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS'].includes(errnoCode(cause))) throw cause;
  }
}

function cookieFor(key: string): string {
  return createHash('sha256').update(`cookie ${key}`).digest('base64url');
}

function equalInConstantTime(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
