import { randomUUID } from 'node:crypto';
import { copyFile, link, lstat, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { RemoteFile } from '#main/downloads/fetch-file.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { makeFolder } from '#main/lib/make-folder.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { diskError, replaceFile } from '#main/lib/write-file.ts';
import type { HubSource, PinnedSource } from '../records.ts';

/**
 * The cache of downloaded repositories, in the layout of Hugging Face's own tools, which share it:
 * `models--OWNER--NAME/blobs/HASH`, `snapshots/COMMIT/PATH` (links to blobs) and `refs/REVISION`.
 * Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export interface HubCache {
  readonly dir: string;
  snapshotDir(repository: string, commit: string): string;
  blobPath(repository: string, hash: string): string;
  /** Where a blob grows. Other tools use another name, since they may run at the same time. */
  partPath(repository: string, hash: string): string;
  /** Bytes of the file on disk, in its blob or its part. */
  bytesOf(repository: string, file: RemoteFile): Promise<number>;
  /** Creates the folders of a repository. Throws `folder_not_writable` and the like. */
  prepare(repository: string): Promise<void>;
  /** Gives each file, whose blob must exist, its name in the snapshot. */
  link(source: PinnedSource): Promise<void>;
  /** Points the revision to the snapshot, for other tools and for `mainSnapshot`. */
  pointAt(source: PinnedSource): Promise<void>;
  /** The snapshot of the `main` branch, or null. */
  mainSnapshot(repository: string): Promise<string | null>;
  /**
   * Deletes the snapshot (with `keepsOthers` only the files of `source`), its parts, and its blobs that no other snapshot uses. Returns the bytes that stay in the store which huggingface_hub 2 shares
   * between repositories: its blobs there are links, and only its own locks make it safe to delete their targets.
   */
  remove(source: HubSource, options?: { keepsOthers: boolean }): Promise<{ sharedBytes: number }>;
}

export function createHubCache(dir: string): HubCache {
  const repositoryDir = (repository: string): string => join(dir, `models--${repository.replaceAll('/', '--')}`);
  const snapshotDir = (repository: string, commit: string): string => join(repositoryDir(repository), 'snapshots', commit);
  const blobPath = (repository: string, hash: string): string => join(repositoryDir(repository), 'blobs', hash);
  const partPath = (repository: string, hash: string): string => `${blobPath(repository, hash)}.zimage.incomplete`;
  const refPath = (repository: string, revision: string): string => join(repositoryDir(repository), 'refs', revision);
  const commitOf = async (ref: string): Promise<string | null> => (await unlessMissing(readFile(ref, 'utf8'), null))?.trim() ?? null;

  return {
    dir,
    snapshotDir,
    blobPath,
    partPath,

    async bytesOf(repository, { hash, sizeBytes }) {
      const whole = await sizeOf(blobPath(repository, hash));
      return Math.min(sizeBytes, whole ?? (await sizeOf(partPath(repository, hash))) ?? 0);
    },

    async prepare(repository) {
      await ensureFolder(join(repositoryDir(repository), 'blobs'));
    },

    async link({ repository, commit, files }) {
      for (const { path, hash } of files) {
        const name = join(snapshotDir(repository, commit), ...path.split('/'));
        await ensureFolder(dirname(name));
        await linkBlob(blobPath(repository, hash), name);
      }
    },

    async pointAt({ repository, revision, commit }) {
      if (revision === commit) return;
      const ref = refPath(repository, revision);
      await ensureFolder(dirname(ref));
      await replaceFile(ref, Buffer.from(commit));
    },

    async mainSnapshot(repository) {
      const commit = await commitOf(refPath(repository, 'main'));
      if (commit === null || !/^[0-9a-f]{40}$/.test(commit)) return null;
      const snapshot = snapshotDir(repository, commit);
      return (await sizeOf(join(snapshot, 'model_index.json'))) === null ? null : snapshot;
    },

    async remove({ repository, revision, commit, files }, { keepsOthers } = { keepsOthers: false }) {
      for (const { hash } of files) await rm(partPath(repository, hash), { force: true });
      let sharedBytes = 0;
      if (commit === null) return { sharedBytes };
      const snapshot = snapshotDir(repository, commit);
      const removed = keepsOthers ? files.map(({ path }) => join(snapshot, ...path.split('/'))) : [snapshot];
      for (const path of removed) await rm(path, { recursive: true, force: true });
      const used = await blobsInUse(join(repositoryDir(repository), 'snapshots'));
      for (const { hash } of files) {
        if (used.has(hash)) continue;
        const blob = blobPath(repository, hash);
        if ((await linkTarget(blob)) !== null) sharedBytes += (await sizeOf(blob)) ?? 0;
        await rm(blob, { force: true });
      }
      const ref = refPath(repository, revision);
      if (!keepsOthers && (await commitOf(ref)) === commit) await rm(ref, { force: true });
      await removeEmptyFolders(repositoryDir(repository));
      return { sharedBytes };
    },
  };
}

async function ensureFolder(dir: string): Promise<void> {
  try {
    makeFolder(dir);
  } catch (cause) {
    throw await diskError(cause, join(dir, 'file'), 0);
  }
}

/** A relative symlink, as Hugging Face's tools make it. File systems without symlinks get a hard link or a copy. */
async function linkBlob(blob: string, name: string): Promise<void> {
  const target = relative(dirname(name), blob);
  if ((await linkTarget(name)) === target) return;
  const draft = `${name}.${randomUUID()}.new`;
  try {
    await symlink(target, draft, 'file')
      .catch(() => link(blob, draft))
      .catch(() => copyFile(blob, draft));
    await rename(draft, name);
  } catch (cause) {
    await rm(draft, { force: true });
    const size = await sizeOf(blob);
    throw await diskError(cause, name, size ?? 0);
  }
}

/** Null for anything but a symlink. */
async function linkTarget(path: string): Promise<string | null> {
  return readlink(path).catch((cause: unknown) => {
    // Windows answers UNKNOWN for a file that is not a link
    if (['ENOENT', 'ENOTDIR', 'EINVAL', 'UNKNOWN'].includes(errnoCode(cause))) return null;
    throw cause;
  });
}

async function blobsInUse(snapshotsDir: string): Promise<Set<string>> {
  const names = await unlessMissing(readdir(snapshotsDir, { recursive: true }), []);
  const targets = await Promise.all(names.map((name) => linkTarget(join(snapshotsDir, name))));
  return new Set(targets.filter((target) => target !== null).map((target) => target.split(/[\\/]/).at(-1) ?? ''));
}

/** Deletes `dir` if it has nothing but empty folders. */
async function removeEmptyFolders(dir: string): Promise<void> {
  for (const name of await unlessMissing(readdir(dir), [])) {
    const path = join(dir, name);
    if (!(await lstat(path)).isDirectory()) return;
    await removeEmptyFolders(path);
  }
  if ((await unlessMissing(readdir(dir), ['gone'])).length === 0) await rm(dir, { recursive: true });
}

async function sizeOf(path: string): Promise<number | null> {
  return unlessMissing(
    stat(path).then(({ size }) => size),
    null,
  );
}
