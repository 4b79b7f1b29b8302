import { createHash } from 'node:crypto';
import { readFile, rename, rm, statfs } from 'node:fs/promises';
import { type FetchCounts, fetchFile, type RemoteFile } from '#main/downloads/fetch-file.ts';
import { unreachable } from '#main/downloads/http-client.ts';
import { readText } from '#main/downloads/read-text.ts';
import type { Pause, Throttle } from '#main/downloads/throttle.ts';
import { diskError } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertWeights, modelTypeOf } from './describe-checkpoint.ts';
import type { FileHashes } from './file-hashes.ts';
import { chooseFiles } from './hub/choose-files.ts';
import type { HubCache } from './hub/hub-cache.ts';
import type { HubClient, ListedFile, RepositoryListing } from './hub/hub-client.ts';
import type { HubSource } from './records.ts';

export type PinnedSource = HubSource & { commit: string };

export interface DownloadParts {
  hub: HubClient;
  cache: HubCache;
  hashes: FileHashes;
  throttle: Throttle;
  signal: AbortSignal;
  /** Bytes of the whole model that are on the disk; falls where a file begins anew. */
  onBytes(done: number): void;
  counts: FetchCounts;
  pause?: Pause;
}

/** Left free on the disk beside the model: a full disk stops more than a download. */
const RESERVE_BYTES = 512 * 1024 * 1024;
const TEXT_BYTES = 16 * 1024 * 1024;

/** The repository's commit and the files that make the checkpoint. Throws as `HubClient.list` and `chooseFiles`. */
export async function pinSource(hub: HubClient, repository: string, revision: string, signal: AbortSignal): Promise<PinnedSource> {
  const listing = await hub.list(repository, revision, signal);
  await refuseOtherArchitecture(hub, repository, listing, signal);
  const { commit, license, files } = listing;
  return { type: 'hub', repository, revision, commit, files: chooseFiles(repository, files), license: license ?? 'unknown' };
}

/** A repository of a language model has a config.json where a pipeline has its model_index.json: its own words say what it is. */
async function refuseOtherArchitecture(hub: HubClient, repository: string, { commit, files }: RepositoryListing, signal: AbortSignal): Promise<void> {
  const config = files.find(({ path }) => path === 'config.json');
  if (config === undefined || config.sizeBytes > TEXT_BYTES || files.some(({ path }) => path === 'model_index.json')) return;
  const architecture = /"architectures"\s*:\s*\[\s*"([\w.-]{1,100})"/.exec(await fetchText(hub, repository, commit, config, signal))?.[1];
  if (architecture === undefined) return;
  const message = `${repository} is a ${architecture}; a ZImagePipeline with a model_index.json is needed.`;
  throw new AppError('checkpoint_unsupported', message, { path: repository });
}

async function fetchText(hub: HubClient, repository: string, commit: string, { path, sizeBytes }: ListedFile, signal: AbortSignal): Promise<string> {
  const url = hub.fileUrl(repository, commit, path);
  const response = await hub.get(url, {}, signal).catch((cause: unknown) => {
    if (signal.aborted) throw cause;
    throw unreachable(url, cause);
  });
  return readText(response, sizeBytes);
}

/** Fetches the texts of a pinned source and tells which kind of checkpoint they describe. Throws `checkpoint_unsupported` and the like before a weight is fetched. */
export async function fetchConfigs(source: PinnedSource, parts: DownloadParts): ReturnType<typeof modelTypeOf> {
  const texts = { ...source, files: source.files.filter(({ path }) => path === 'model_index.json' || path.startsWith('transformer/')).filter(isText) };
  await parts.cache.prepare(source.repository);
  for (const file of texts.files) await fetchBlob(source, file, parts, 0);
  await parts.cache.link(texts);
  return modelTypeOf(parts.cache.snapshotDir(source.repository, source.commit));
}

function isText({ path }: RemoteFile): boolean {
  return !path.endsWith('.safetensors');
}

/**
 * Fetches what is missing of a model into the cache and gives its snapshot its names. Blobs that are there are held against their hashes first.
 * Throws `disk_full` before the first byte where the disk is too small, and as `fetchFile`.
 */
export async function downloadModel(source: PinnedSource, parts: DownloadParts): Promise<void> {
  const { cache, signal, onBytes } = parts;
  await cache.prepare(source.repository);
  await assertRoom(source, cache);
  let done = 0;
  for (const file of source.files) {
    signal.throwIfAborted();
    await fetchBlob(source, file, parts, done);
    done += file.sizeBytes;
    onBytes(done);
  }
  await cache.link(source);
  await assertWeights(cache.snapshotDir(source.repository, source.commit));
  await cache.pointAt(source);
  await parts.hashes.save();
}

async function assertRoom({ repository, files }: PinnedSource, cache: HubCache): Promise<void> {
  const here = await Promise.all(files.map((file) => cache.bytesOf(repository, file)));
  const missing = files.reduce((sum, file) => sum + file.sizeBytes, 0) - here.reduce((a, b) => a + b, 0);
  if (missing === 0) return;
  const { bavail, bsize } = await statfs(cache.dir);
  const freeBytes = bavail * bsize;
  const neededBytes = missing + RESERVE_BYTES;
  if (neededBytes <= freeBytes) return;
  const message = `${repository} needs ${gigabytes(neededBytes)} on the disk of ${cache.dir} and ${gigabytes(freeBytes)} are free: ${gigabytes(neededBytes - freeBytes)} are missing. Free that much, or name another folder with HF_HOME.`;
  throw new AppError('disk_full', message, { neededBytes, freeBytes });
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

async function fetchBlob(source: PinnedSource, file: RemoteFile, parts: DownloadParts, doneBefore: number): Promise<void> {
  const { hub, cache, hashes, onBytes } = parts;
  const { repository, commit } = source;
  const blob = cache.blobPath(repository, file.hash);
  const part = cache.partPath(repository, file.hash);
  if (await hasContent(blob, file, hashes)) {
    await rm(part, { force: true });
    return;
  }
  await fetchFile(hub.fileUrl(repository, commit, file.path), file, part, { ...parts, http: hub, onBytes: (done) => onBytes(doneBefore + done) });
  await rename(part, blob).catch(async (cause: unknown) => {
    throw await diskError(cause, blob, 0);
  });
  if (file.hash.length === 64) await hashes.learn(blob, file.hash);
}

/** Whether the file at `path` has the content that `file` tells; read again only where it is not known by its time and size. */
export async function hasContent(path: string, { hash, sizeBytes }: RemoteFile, hashes: FileHashes): Promise<boolean> {
  if (hash.length === 64) {
    const found = await hashes.hashOf(path).catch(absent);
    return found?.sizeBytes === sizeBytes && found.sha256 === hash;
  }
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null || bytes.byteLength !== sizeBytes) return false;
  return createHash('sha1').update(`blob ${sizeBytes}\0`).update(bytes).digest('hex') === hash;
}

function absent(thrown: unknown): null {
  if (thrown instanceof AppError) return null;
  throw thrown;
}
