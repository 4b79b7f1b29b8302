import { copyFile, link, lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { RemoteFile } from '#main/downloads/fetch-file.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import type { HubSource } from '../records.ts';

/**
 * The cache of downloaded repositories in the layout that Hugging Face's own tools use, so that they share it:
 * `models--OWNER--NAME/blobs/HASH`, `snapshots/COMMIT/PATH` (links to blobs) and `refs/REVISION`.
 * Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export interface HubCache {
  readonly dir: string;
  snapshotDir(repository: string, commit: string): string;
  blobPath(repository: string, hash: string): string;
  /** Where a blob grows. Not the name that other tools use for the same: they may run at the same time. */
  partPath(repository: string, hash: string): string;
  /** Bytes of the file that are here, in its blob or in the part of it. */
  bytesOf(repository: string, file: RemoteFile): Promise<number>;
  /** Makes the folders of a repository. */
  prepare(repository: string): Promise<void>;
  /** Gives each file, whose blob must be there, its name in the snapshot. */
  link(source: HubSource & { commit: string }): Promise<void>;
  /** Lets the revision lead to the snapshot, for other tools and for `mainSnapshot`. */
  pointAt(source: HubSource & { commit: string }): Promise<void>;
  /** The snapshot of the repository's `main` on this machine, or null. */
  mainSnapshot(repository: string): Promise<string | null>;
  /** Deletes the snapshot, its blobs but for those that another snapshot uses, and parts. */
  remove(source: HubSource): Promise<void>;
}

export function createHubCache(dir: string): HubCache {
  const repositoryDir = (repository: string): string => join(dir, `models--${repository.replaceAll('/', '--')}`);
  const snapshotDir = (repository: string, commit: string): string => join(repositoryDir(repository), 'snapshots', commit);
  const blobPath = (repository: string, hash: string): string => join(repositoryDir(repository), 'blobs', hash);
  const partPath = (repository: string, hash: string): string => `${blobPath(repository, hash)}.zimage.incomplete`;
  const refPath = (repository: string, revision: string): string => join(repositoryDir(repository), 'refs', revision);

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
      await mkdir(join(repositoryDir(repository), 'blobs'), { recursive: true });
    },

    async link({ repository, commit, files }) {
      for (const { path, hash } of files) {
        const name = join(snapshotDir(repository, commit), ...path.split('/'));
        await mkdir(dirname(name), { recursive: true });
        await linkBlob(blobPath(repository, hash), name);
      }
    },

    async pointAt({ repository, revision, commit }) {
      if (revision === commit) return;
      const ref = refPath(repository, revision);
      await mkdir(dirname(ref), { recursive: true });
      await writeFileDurably(`${ref}.new`, new TextEncoder().encode(commit));
      await renameDurably(`${ref}.new`, ref);
    },

    async mainSnapshot(repository) {
      const commit = await readFile(refPath(repository, 'main'), 'utf8').catch(() => null);
      if (commit === null || !/^[0-9a-f]{40}$/.test(commit.trim())) return null;
      const snapshot = snapshotDir(repository, commit.trim());
      return (await sizeOf(join(snapshot, 'model_index.json'))) === null ? null : snapshot;
    },

    async remove({ repository, revision, commit, files }) {
      for (const { hash } of files) await rm(partPath(repository, hash), { force: true });
      if (commit === null) return;
      const gone = snapshotDir(repository, commit);
      await rm(gone, { recursive: true, force: true });
      const used = await blobsInUse(join(repositoryDir(repository), 'snapshots'));
      for (const { hash } of files) if (!used.has(hash)) await rm(blobPath(repository, hash), { force: true });
      const ref = refPath(repository, revision);
      if ((await readFile(ref, 'utf8').catch(() => null))?.trim() === commit) await rm(ref, { force: true });
      await removeIfEmpty(repositoryDir(repository));
    },
  };
}

/** A relative link as Hugging Face's tools make it. Windows may not allow links to this user: then a second name of the file, or on other file systems a copy. */
async function linkBlob(blob: string, name: string): Promise<void> {
  const target = relative(dirname(name), blob);
  if ((await readlink(name).catch(() => null)) === target) return;
  const draft = `${name}.new`;
  await rm(draft, { force: true });
  try {
    await symlink(target, draft, 'file');
  } catch (cause) {
    if (errnoCode(cause) !== 'EPERM' && errnoCode(cause) !== 'ENOTSUP') throw cause;
    await link(blob, draft).catch(() => copyFile(blob, draft));
  }
  await rename(draft, name);
}

async function blobsInUse(snapshotsDir: string): Promise<Set<string>> {
  const names = await readdir(snapshotsDir, { recursive: true }).catch(() => []);
  const targets = await Promise.all(names.map((name) => readlink(join(snapshotsDir, name)).catch(() => null)));
  return new Set(targets.filter((target) => target !== null).map((target) => target.split(/[\\/]/).at(-1) ?? ''));
}

/** Folders that hold nothing but empty folders go; anything else stays as it is. */
async function removeIfEmpty(dir: string): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const path = join(dir, name);
    if ((await lstat(path)).isDirectory()) await removeIfEmpty(path);
    else return;
  }
  if ((await readdir(dir).catch(() => [''])).length === 0) await rm(dir, { recursive: true });
}

async function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}
