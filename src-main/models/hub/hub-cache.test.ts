import promises, { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { PinnedSource } from '../records.ts';
import { createHubCache, type HubCache } from './hub-cache.ts';

const [COMMIT, OTHER, HASH] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(64)] as const;
const source: PinnedSource = {
  ...{ type: 'hub', repository: 'owner/name', revision: 'main', commit: COMMIT, license: 'mit' },
  files: [{ path: 'vae/config.json', sizeBytes: 7, hash: HASH }],
};

let dir: string;
let cache: HubCache;
const name = (commit: string = COMMIT) => join(cache.snapshotDir('owner/name', commit), 'vae/config.json');

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hub-cache-'));
  cache = createHubCache(join(dir, 'new/hub'));
  await cache.prepare('owner/name');
  await writeFile(cache.blobPath('owner/name', HASH), 'content');
});
afterEach(() => rm(dir, { recursive: true }));

/** Makes a call of `node:fs/promises` fail with `code` until the test ends. */
function failing(call: 'symlink' | 'link', code: string): void {
  const original = promises[call];
  const replace = (replacement: typeof original): void => {
    promises[call] = replacement;
    syncBuiltinESMExports();
  };
  replace(async () => {
    throw Object.assign(new Error(code), { code });
  });
  onTestFinished(() => replace(original));
}

test.each(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EIO', 'UNKNOWN'])('where symlinks fail with %s, files are linked or copied', async (code) => {
  failing('symlink', code);
  await cache.link(source);
  expect((await lstat(name())).isFile()).toBe(true);
  failing('link', code);
  await rm(name());
  await cache.link(source);
  await cache.link(source);
  expect(await readFile(name(), 'utf8')).toBe('content');
  expect(await readdir(join(name(), '..'))).toEqual(['config.json']);
});

test('links made at the same time are all right', async () => {
  await Promise.all([cache.link(source), cache.link(source), cache.link(source)]);
  expect(await readlink(name())).toBe(`../../../blobs/${HASH}`);
  expect(await readdir(join(name(), '..'))).toEqual(['config.json']);
});

test('a folder that cannot be written is named', async () => {
  await writeFile(join(dir, 'file'), '');
  await expect(createHubCache(join(dir, 'file/hub')).prepare('owner/name')).rejects.toMatchObject({ code: 'folder_not_writable' });
});

test('a blob that another snapshot uses stays, also when the snapshots cannot be listed', async () => {
  await cache.link(source);
  await mkdir(join(name(OTHER), '..'), { recursive: true });
  await symlink(`../../../blobs/${HASH}`, name(OTHER));
  const original = promises.readdir;
  promises.readdir = (async () => {
    throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  }) as typeof original;
  syncBuiltinESMExports();
  await expect(cache.remove(source)).rejects.toMatchObject({ code: 'EMFILE' });
  promises.readdir = original;
  syncBuiltinESMExports();
  await cache.remove(source);
  expect(await readFile(name(OTHER), 'utf8')).toBe('content');
});

test.each(['', 'no commit', '../../..'])('a damaged reference (%j) leads nowhere', async (text) => {
  await cache.link(source);
  await cache.pointAt(source);
  await writeFile(join(dir, 'new/hub/models--owner--name/refs/main'), text);
  expect(await cache.mainSnapshot('owner/name')).toBeNull();
});

test('blobs in the store that huggingface_hub shares are read; removing deletes the links and says what stays', async () => {
  const shared = join(dir, 'new/hub/blobs/dd', 'd'.repeat(64));
  await mkdir(join(shared, '..'), { recursive: true });
  await writeFile(shared, 'content');
  const blob = cache.blobPath('owner/name', HASH);
  await rm(blob);
  await symlink(`../../blobs/dd/${'d'.repeat(64)}`, blob);
  await cache.link(source);
  expect(await readFile(name(), 'utf8')).toBe('content');
  expect(await cache.bytesOf('owner/name', { path: '', sizeBytes: 7, hash: HASH })).toBe(7);
  expect(await cache.remove(source)).toEqual({ sharedBytes: 7 });
  expect(await readFile(shared, 'utf8')).toBe('content');
  await expect(lstat(blob)).rejects.toThrow('ENOENT');
  expect(await cache.remove(source)).toEqual({ sharedBytes: 0 });
});
