import { createReadStream, existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type FetchOptions, fetchFile } from '#main/downloads/fetch-file.ts';
import { unreachable } from '#main/downloads/http-client.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';
import { freeBytesOf, renameDurably, replaceFile } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { findWheel } from './find-wheel.ts';
import { cudaLicences } from './licences.ts';
import { draftDirOf, MANIFEST, type PackManifest, removePack } from './pack-folder.ts';
import type { PackArchive, PackPlan, Vendor } from './pack-plan.ts';
import { fileSize, type PackProgress, PROGRESS_FILE } from './pack-progress.ts';
import { assertProviderVersion } from './provider-version.ts';
import { unpackArchive, writeHashed } from './unpack-archive.ts';

/** Where the archives come from. */
export interface PackSource {
  /** A Python package index, for wheels. */
  index: URL | null;
  /** Addresses of the vendors, for their releases. */
  vendors: Readonly<Record<Vendor, string>>;
}

export interface InstallPackOptions extends Pick<FetchOptions, 'http' | 'throttle' | 'signal' | 'pause' | 'counts'> {
  plan: PackPlan;
  packsDir: string;
  progress: PackProgress;
  /** The library of onnxruntime-node that goes into the pack. */
  libraryPath: string;
  source: PackSource;
  onPhase(phase: 'fetch' | 'unpack'): void;
  onBytes(doneBytes: number, totalBytes: number): void;
  /** Free bytes on the disk of a folder. */
  freeBytes?: (dir: string) => Promise<number>;
}

const advice = {
  refused: 'It may have been removed; a newer version of this program may use another one',
  unreachable: 'Set HTTPS_PROXY if you need a proxy, or choose another source with --index',
};

/**
 * Downloads, verifies and unpacks a pack, or resumes: one archive after the other, each deleted once it is unpacked. The manifest is written last, then
 * the folder gets its final name. Throws `download_failed`, `download_refused`, `cuda_pack_damaged`, `cuda_pack_unsupported`, `disk_full`,
 * `folder_not_writable` or the signal's reason; finished work stays.
 */
export async function installPack(options: InstallPackOptions): Promise<void> {
  const { plan, packsDir, progress, signal, onPhase, onBytes } = options;
  const draft = draftDirOf(packsDir, plan.version);
  await progress.begin();
  await assertRoom(options);

  let [done, total] = [0, plan.archives.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0)];
  for (const archive of plan.archives) {
    const unpacked = progress.unpacked[archive.sha256];
    if (unpacked?.every(({ name, size_bytes }) => existsSync(join(draft, name)) && fileSize(join(draft, name)) === size_bytes)) {
      done += archive.sizeBytes ?? 0;
      continue;
    }
    onPhase('fetch');
    const url = await locate(options, archive);
    const sizeBytes = archive.sizeBytes ?? (await askSize(options, url));
    if (archive.sizeBytes === null) total += sizeBytes;
    const path = join(draft, archive.name);
    const file = { path: archive.name, sizeBytes, hash: archive.sha256 };
    await fetchFile(url, file, path, { ...options, advice, onBytes: (bytes) => onBytes(done + bytes, total) });
    done += sizeBytes;
    onBytes(done, total);
    onPhase('unpack');
    const files = await unpackArchive(archive, path, draft, signal);
    if (files.some(({ name }) => name === plan.provider)) await assertProviderVersion(join(draft, plan.provider), plan.onnxruntime);
    await progress.addUnpacked(archive.sha256, files);
    await rm(path);
  }
  signal.throwIfAborted();
  await publish(options);
}

async function publish({ plan, packsDir, libraryPath, source, signal, progress }: InstallPackOptions): Promise<void> {
  const { version, onnxruntime } = plan;
  const draft = draftDirOf(packsDir, version);
  const files = plan.archives.flatMap(({ sha256 }) => progress.unpacked[sha256] ?? []);
  if (plan.copied !== null) files.push(await writeHashed(createReadStream(libraryPath), join(draft, plan.copied), plan.copied, signal));
  const manifest: PackManifest = {
    format: 1,
    version,
    onnxruntime,
    source: nameOfSource(source),
    files,
    accepted_at: progress.acceptedAt,
    licences: cudaLicences.map(({ url }) => url),
  };
  await replaceFile(join(draft, MANIFEST), Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`));
  const dir = join(packsDir, version);
  await removePack(packsDir, version);
  await renameDurably(draft, dir);
  await rm(join(dir, PROGRESS_FILE));
}

/** The hosts, for people. */
export function nameOfSource({ index, vendors }: PackSource): string {
  if (index !== null) return index.host;
  return [...new Set(Object.values(vendors).map((address) => new URL(address).host))].join(', ');
}

async function locate({ http, source, signal }: InstallPackOptions, { place, name, sha256 }: PackArchive): Promise<URL> {
  if ('vendor' in place) return new URL(`${source.vendors[place.vendor]}/${place.path}`);
  if (source.index === null) throw new AppError('bad_option', `${name} is a wheel. Choose the index that has it with --index.`, { option: '--index' });
  const found = await findWheel(http, source.index, place.project, name, signal);
  if (found.sha256 !== null && found.sha256 !== sha256) {
    const message = `${source.index.host} lists ${name} with the hash ${found.sha256}, but ${sha256} is expected. It was not downloaded.`;
    throw new AppError('download_refused', message, {});
  }
  return found.url;
}

/** The size of a file that was published without one: requests its first byte. */
async function askSize({ http, signal }: InstallPackOptions, url: URL): Promise<number> {
  const response = await http.get(url, { range: 'bytes=0-0' }, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw unreachable(url, cause, advice.unreachable);
  });
  response.discard();
  const text = response.status === 206 ? /\/(\d+)$/.exec(response.header('content-range') ?? '')?.[1] : response.header('content-length');
  const size = Number(text ?? Number.NaN);
  if ((response.status === 200 || response.status === 206) && Number.isSafeInteger(size) && size > 0) return size;
  throw new AppError('download_failed', `${url.host} refuses ${url.pathname.split('/').at(-1)} (HTTP ${response.status}). ${advice.refused}.`, {});
}

/** Most space is needed while the largest archive is unpacked and everything else already is. Throws `disk_full`. */
async function assertRoom({ plan, packsDir, progress: { unpacked }, freeBytes = freeBytesOf }: InstallPackOptions): Promise<void> {
  const draft = draftDirOf(packsDir, plan.version);
  const left = plan.archives.filter(({ sha256 }) => !(sha256 in unpacked));
  const present = Object.values(unpacked).flat();
  const missing = left.map(({ name, sizeBytes }) => Math.max(0, (sizeBytes ?? 0) - fileSize(join(draft, name))));
  const neededBytes = plan.installedBytes - present.reduce((sum, { size_bytes }) => sum + size_bytes, 0) + Math.max(0, ...missing);
  const free = await freeBytes(draft);
  if (free >= neededBytes) return;
  const message = `The CUDA pack needs ${formatBytes(neededBytes)} on the disk of ${packsDir}, but only ${formatBytes(free)} are free. Free ${formatBytes(neededBytes - free)} and install again.`;
  throw new AppError('disk_full', message, { neededBytes, freeBytes: free });
}
