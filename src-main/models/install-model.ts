import { createHash } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type FetchOptions, fetchFile, type RemoteFile } from '#main/downloads/fetch-file.ts';
import { unreachable } from '#main/downloads/http-client.ts';
import { readText } from '#main/downloads/read-text.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { diskError, freeBytesOf } from '#main/lib/write-file.ts';
import type { ExtraKind } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { catalog } from './catalog.ts';
import { assertWeights } from './checkpoint-files.ts';
import { describeCheckpoint, modelTypeOf } from './describe-checkpoint.ts';
import { chooseExtraFile } from './extra-files.ts';
import type { FileHashes } from './file-hashes.ts';
import { assertSafeFile, chooseFiles } from './hub/choose-files.ts';
import type { HubCache } from './hub/hub-cache.ts';
import type { HubClient, RepositoryListing } from './hub/hub-client.ts';
import type { HubSource, PinnedSource, RecordKind } from './records.ts';

/** Throws an `AppError` if the checkpoint in `dir` cannot run, as far as its configs show or with its weights. */
export type AssertCanRun = (dir: string, scope: 'configs' | 'all') => Promise<void>;

export interface InstallModelOptions extends Pick<FetchOptions, 'throttle' | 'signal' | 'counts' | 'pause'> {
  hub: HubClient;
  cache: HubCache;
  hashes: FileHashes;
  assertCanRun: AssertCanRun;
  /** Throws an `AppError` if no installed checkpoint can use the LoRA or ControlNet. */
  inspectExtra: (path: string) => Promise<ExtraKind>;
  /** Called with the bytes of the model that are on disk; the number falls when a file starts over. */
  onBytes(doneBytes: number, totalBytes: number): void;
}

/** Space that is left free: a full disk breaks more than a download. */
const RESERVE_BYTES = 512 * 1024 * 1024;
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Downloads the missing files of a pinned repository into the cache. Blobs on disk are verified first; `refs` is written last.
 * Throws `checkpoint_unsupported` before the first weight, `disk_full` before the first byte, and as `fetchFile`.
 */
export async function installModel(source: PinnedSource, options: InstallModelOptions): Promise<{ fingerprint: string; kind: RecordKind }> {
  const { cache, signal, hashes, onBytes } = options;
  const dir = cache.snapshotDir(source.repository, source.commit);
  const totalBytes = sizeOf(source);
  const extra = isExtraSource(source) ? source.files[0] : undefined;
  if (extra === undefined) await fetchConfigs(source, options);
  else await cache.prepare(source.repository);
  await assertRoom(source, cache);
  let doneBytes = 0;
  for (const file of source.files) {
    signal.throwIfAborted();
    await fetchBlob(source, file, options, (bytes) => onBytes(doneBytes + bytes, totalBytes));
    doneBytes += file.sizeBytes;
    onBytes(doneBytes, totalBytes);
  }
  await cache.link(source);
  if (extra !== undefined) {
    const kind = await options.inspectExtra(join(dir, extra.path));
    const { sha256 } = await hashes.hashOf(join(dir, extra.path));
    await hashes.save();
    return { fingerprint: sha256, kind };
  }
  await assertWeights(dir);
  await options.assertCanRun(dir, 'all');
  await cache.pointAt(source);
  const { fingerprint, modelType } = await describeCheckpoint(dir, hashes);
  await hashes.save();
  signal.throwIfAborted();
  return { fingerprint, kind: modelType };
}

/** Whether the source is one file, a LoRA or ControlNet. */
export function isExtraSource({ files }: HubSource): boolean {
  return files.length === 1 && files[0]?.path.endsWith('.safetensors') === true;
}

export function sizeOf({ files }: HubSource): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Resolves the revision to a commit and lists the files of the checkpoint. Throws as `HubClient.list` and `chooseFiles`. */
export async function pinSource(hub: HubClient, repository: string, revision: string, signal: AbortSignal, file?: string): Promise<PinnedSource> {
  const listing = await hub.list(repository, revision, signal);
  const extra = chooseExtraFile(repository, listing.files, file);
  if (extra !== null) {
    assertSafeFile(repository, extra);
    return { type: 'hub', repository, revision, commit: listing.commit, files: [extra], license: listing.license ?? 'unknown' };
  }
  await refuseOtherArchitecture(hub, repository, listing, signal);
  const { commit, license, files } = listing;
  return { type: 'hub', repository, revision, commit, files: chooseFiles(repository, files), license: license ?? 'unknown' };
}

/** A language model has a config.json in place of a model_index.json; it names the architecture. */
async function refuseOtherArchitecture(hub: HubClient, repository: string, { commit, files }: RepositoryListing, signal: AbortSignal): Promise<void> {
  const config = files.find(({ path }) => path === 'config.json');
  if (config === undefined || config.sizeBytes > MAX_CONFIG_BYTES || files.some(({ path }) => path === 'model_index.json')) return;
  const url = hub.fileUrl(repository, commit, config.path);
  const response = await hub.get(url, {}, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw unreachable(url, cause);
  });
  const text = await readText(response, MAX_CONFIG_BYTES);
  const architecture = /"architectures"\s*:\s*\[\s*"([\w.-]{1,100})"/.exec(text)?.[1];
  if (architecture === undefined) return;
  const message = `${repository} is a ${architecture}; a ZImagePipeline or Flux2KleinPipeline with a model_index.json is needed.`;
  throw new AppError('checkpoint_unsupported', message, { path: repository });
}

/** Fetches the configs of a pinned source and returns the kind of the checkpoint. Throws `checkpoint_unsupported` and the like. */
export async function fetchConfigs(source: PinnedSource, options: InstallModelOptions): ReturnType<typeof modelTypeOf> {
  const { cache } = options;
  const dir = cache.snapshotDir(source.repository, source.commit);
  const files = source.files.filter(({ path }) => path === 'model_index.json' || /\/(quantization_)?config\.json$/.test(path));
  await cache.prepare(source.repository);
  for (const file of files) await fetchBlob(source, file, options, () => {});
  await cache.link({ ...source, files });
  try {
    const kind = await modelTypeOf(dir);
    await options.assertCanRun(dir, 'configs');
    return kind;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'checkpoint_unsupported') throw error;
    const message = `${error.message} ${catalog[0].repository} runs here.`;
    throw new AppError('checkpoint_unsupported', message, { path: source.repository }, { cause: error });
  }
}

async function assertRoom(source: PinnedSource, cache: HubCache): Promise<void> {
  const present = await Promise.all(source.files.map((file) => cache.bytesOf(source.repository, file)));
  const missingBytes = sizeOf(source) - present.reduce((a, b) => a + b, 0);
  if (missingBytes === 0) return;
  const freeBytes = await freeBytesOf(cache.dir);
  const neededBytes = missingBytes + RESERVE_BYTES;
  if (neededBytes <= freeBytes) return;
  const [needed, free, missing] = [neededBytes, freeBytes, neededBytes - freeBytes].map(formatBytes);
  const message = `${source.repository} needs ${needed} on the disk of ${cache.dir}, but only ${free} are free. Free ${missing}, or choose another folder with HF_HOME.`;
  throw new AppError('disk_full', message, { neededBytes, freeBytes });
}

async function fetchBlob({ repository, commit }: PinnedSource, file: RemoteFile, options: InstallModelOptions, onBytes: (done: number) => void): Promise<void> {
  const { hub, cache, hashes } = options;
  const blob = cache.blobPath(repository, file.hash);
  const part = cache.partPath(repository, file.hash);
  if (await hasContent(blob, file, hashes)) {
    await rm(part, { force: true });
    return;
  }
  await fetchFile(hub.fileUrl(repository, commit, file.path), file, part, { ...options, http: hub, onBytes });
  await rename(part, blob).catch(async (cause: unknown) => {
    throw await diskError(cause, blob, 0);
  });
  if (file.hash.length === 64) await hashes.set(blob, file.hash);
}

/** Whether the file at `path` has the size and hash of `file`. */
export async function hasContent(path: string, { hash, sizeBytes }: RemoteFile, hashes: FileHashes): Promise<boolean> {
  if (hash.length === 64) {
    const found = await hashes.hashOf(path).catch((thrown: unknown) => {
      if (thrown instanceof AppError && (thrown.code === 'checkpoint_missing' || thrown.code === 'checkpoint_damaged')) return null;
      throw thrown;
    });
    return found?.sizeBytes === sizeBytes && found.sha256 === hash;
  }
  const bytes = await unlessMissing(readFile(path), null);
  if (bytes === null || bytes.byteLength !== sizeBytes) return false;
  return createHash('sha1').update(`blob ${sizeBytes}\0`).update(bytes).digest('hex') === hash;
}
