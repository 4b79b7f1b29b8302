import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type FetchCounts, type FetchOptions, fetchFile } from '#main/downloads/fetch-file.ts';
import { unreachable } from '#main/downloads/http-client.ts';
import { freeBytesOf, renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { findWheel } from './find-wheel.ts';
import { cudaLicences } from './licences.ts';
import { draftDirOf, MANIFEST, type PackManifest, packedFileSchema, removePack } from './pack-folder.ts';
import type { PackArchive, PackPlan, Vendor } from './pack-plan.ts';
import { assertProviderVersion } from './provider-version.ts';
import { unpackArchive, writeHashed } from './unpack-archive.ts';

/** Where the archives come from. */
export interface PackSource {
  /** A Python package index, for wheels. */
  index: URL | null;
  /** Addresses of the vendors, for their releases. */
  vendors: Readonly<Record<Vendor, string>>;
}

export interface InstallParts extends Pick<FetchOptions, 'http' | 'throttle' | 'signal' | 'pause'> {
  plan: PackPlan;
  packsDir: string;
  /** The library of onnxruntime-node that goes into the pack. */
  libraryPath: string;
  source: PackSource;
  counts: FetchCounts;
  onProgress(state: 'downloading' | 'unpacking', bytesDone: number, bytesTotal: number): void;
  /** Free bytes on the disk of a folder. */
  freeBytes?: (dir: string) => Promise<number>;
}

const journalSchema = z.object({
  acceptedAt: z.string(),
  /** What was taken out of archives that are done, by the archive's hash. */
  unpacked: z.record(z.string(), z.array(packedFileSchema)),
});
export type InstallJournal = z.infer<typeof journalSchema>;

const JOURNAL = 'progress.json';
const advice = {
  refused: 'it may have been taken back; a newer version of this program may know another one',
  unreachable: 'HTTPS_PROXY names a proxy, and --index another source',
};

/** How far an earlier installation came, or null where none was begun: its licences were agreed to then. */
export async function readJournal(packsDir: string, { version }: PackPlan): Promise<InstallJournal | null> {
  try {
    return journalSchema.parse(JSON.parse(await readFile(join(draftDirOf(packsDir, version), JOURNAL), 'utf8')));
  } catch {
    return null; // none yet, or it cannot be read: whatever was unpacked is unpacked again
  }
}

/** Bytes that need not be fetched again. */
export async function fetchedBytes(packsDir: string, plan: PackPlan, journal: InstallJournal): Promise<number> {
  const draft = draftDirOf(packsDir, plan.version);
  const parts = plan.archives.map(async ({ name, sha256, sizeBytes }) => (sha256 in journal.unpacked ? (sizeBytes ?? 0) : await sizeOf(join(draft, name))));
  return (await Promise.all(parts)).reduce((a, b) => a + b, 0);
}

/**
 * Fetches, checks and unpacks a pack, or goes on where it stopped: archive after archive, each thrown away when its files are out. The manifest is written
 * last, and only then the folder gets its name. Throws `download_failed`, `download_refused`, `cuda_pack_damaged`, `cuda_pack_unsupported`, `disk_full`,
 * `folder_not_writable`, or the signal's reason; what was fetched stays.
 * @param acceptedAt When the licences were agreed to.
 */
export async function installPack(parts: InstallParts, acceptedAt: string): Promise<PackManifest> {
  const { plan, packsDir, signal, onProgress } = parts;
  const draft = draftDirOf(packsDir, plan.version);
  await mkdir(draft, { recursive: true });
  const journal = (await readJournal(packsDir, plan)) ?? { acceptedAt, unpacked: {} };
  await writeJson(draft, JOURNAL, journal);
  await assertRoom(parts, journal);

  let [done, total] = [0, plan.archives.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0)];
  for (const archive of plan.archives) {
    const known = journal.unpacked[archive.sha256];
    if (known !== undefined && (await Promise.all(known.map(({ name, size_bytes }) => hasSize(join(draft, name), size_bytes)))).every(Boolean)) {
      done += archive.sizeBytes ?? 0;
      continue;
    }
    const url = await locate(parts, archive);
    const sizeBytes = archive.sizeBytes ?? (await askSize(parts, url));
    if (archive.sizeBytes === null) total += sizeBytes;
    const path = join(draft, archive.name);
    const onBytes = (bytes: number): void => onProgress('downloading', done + bytes, total);
    await fetchFile(url, { path: archive.name, sizeBytes, hash: archive.sha256 }, path, { ...parts, advice, onBytes });
    done += sizeBytes;
    onProgress('unpacking', done, total);
    const files = await unpackArchive(archive, path, draft, signal);
    if (files.some(({ name }) => name === plan.provider)) await assertProviderVersion(join(draft, plan.provider), plan.onnxruntime);
    journal.unpacked[archive.sha256] = files;
    await writeJson(draft, JOURNAL, journal);
    await rm(path);
  }
  signal.throwIfAborted();
  return publish(parts, journal);
}

async function publish({ plan, packsDir, libraryPath, source, signal }: InstallParts, journal: InstallJournal): Promise<PackManifest> {
  const draft = draftDirOf(packsDir, plan.version);
  const files = plan.archives.flatMap(({ sha256 }) => journal.unpacked[sha256] ?? []);
  if (plan.copied !== null) files.push(await writeHashed(createReadStream(libraryPath), join(draft, plan.copied), plan.copied, signal));
  const { version, onnxruntime } = plan;
  const manifest: PackManifest = {
    format: 1,
    version,
    onnxruntime,
    source: nameOfSource(source),
    files,
    accepted_at: journal.acceptedAt,
    licences: cudaLicences.map(({ url }) => url),
  };
  await writeJson(draft, MANIFEST, manifest);
  const dir = join(packsDir, version);
  if (existsSync(dir)) await removePack(packsDir, version);
  await renameDurably(draft, dir);
  await rm(join(dir, JOURNAL));
  return manifest;
}

/** For people: the hosts. */
export function nameOfSource({ index, vendors }: PackSource): string {
  if (index !== null) return index.host;
  return [...new Set(Object.values(vendors).map((address) => new URL(address).host))].join(', ');
}

async function locate({ http, source, signal }: InstallParts, { place, name, sha256 }: PackArchive): Promise<URL> {
  if ('vendor' in place) return new URL(`${source.vendors[place.vendor]}/${place.path}`);
  if (source.index === null) throw new AppError('bad_option', `${name} is a wheel: name the index that has it with --index.`, { option: '--index' });
  const found = await findWheel(http, source.index, place.project, name, signal);
  if (found.sha256 !== null && found.sha256 !== sha256) {
    const message = `The index ${source.index.host} tells the hash ${found.sha256} for ${name}; this program knows that file with ${sha256}. It is not fetched.`;
    throw new AppError('download_refused', message, {});
  }
  return found.url;
}

/** Of what was published without a size: one byte is asked for, and the answer tells the whole. */
async function askSize({ http, signal }: InstallParts, url: URL): Promise<number> {
  const answer = await http.get(url, { range: 'bytes=0-0' }, signal).catch((cause: unknown) => {
    if (cause instanceof AppError || signal.aborted) throw cause;
    throw unreachable(url, cause, advice.unreachable);
  });
  answer.discard();
  const told = answer.status === 206 ? /\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1] : answer.header('content-length');
  const size = Number(told ?? Number.NaN);
  if ((answer.status === 200 || answer.status === 206) && Number.isSafeInteger(size) && size > 0) return size;
  throw new AppError('download_failed', `${url.host} does not give ${url.pathname.split('/').at(-1)} (HTTP ${answer.status}); ${advice.refused}.`, {});
}

/** At the most crowded moment all files are unpacked but those of the largest archive, which lies there whole. Throws `disk_full`. */
async function assertRoom({ plan, packsDir, freeBytes = freeBytesOf }: InstallParts, { unpacked }: InstallJournal): Promise<void> {
  const draft = draftDirOf(packsDir, plan.version);
  const left = plan.archives.filter(({ sha256 }) => !(sha256 in unpacked));
  const here = Object.values(unpacked).flat();
  const missing = await Promise.all(left.map(async ({ name, sizeBytes }) => Math.max(0, (sizeBytes ?? 0) - (await sizeOf(join(draft, name))))));
  const neededBytes = plan.installedBytes - here.reduce((sum, { size_bytes }) => sum + size_bytes, 0) + Math.max(0, ...missing);
  const free = await freeBytes(draft);
  if (free >= neededBytes) return;
  const message = `The CUDA pack needs ${megabytes(neededBytes)} on the disk of ${packsDir}, where ${megabytes(free)} are free: ${megabytes(neededBytes - free)} are missing. Free them and install again.`;
  throw new AppError('disk_full', message, { neededBytes, freeBytes: free });
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  return existsSync(path) && (await sizeOf(path)) === bytes;
}

async function writeJson(dir: string, name: string, value: unknown): Promise<void> {
  await writeFileDurably(join(dir, `${name}.new`), new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`));
  await renameDurably(join(dir, `${name}.new`), join(dir, name));
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
