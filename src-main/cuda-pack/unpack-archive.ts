import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { promisify } from 'node:util';
import { syncFile } from '#main/lib/sync-file.ts';
import { diskError, freeBytesOf } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { damagedPack } from './damaged-pack.ts';
import type { PackedFile } from './pack-folder.ts';
import type { PackArchive, PackFile } from './pack-plan.ts';
import { readZipDirectory, unzipEntry } from './read-zip.ts';

/**
 * Takes the wanted files out of an archive that lies at `path` into `dir`, on the disk when this resolves; returns what they are.
 * Throws `cuda_pack_damaged`, `disk_full`, `folder_not_writable`, `cuda_pack_unsupported` without tar or xz, or the signal's reason.
 */
export async function unpackArchive(archive: PackArchive, path: string, dir: string, signal: AbortSignal): Promise<PackedFile[]> {
  return archive.type === 'zip' ? unpackZip(archive, path, dir, signal) : unpackTar(archive, path, dir, signal);
}

/** A disk with less room than that is full to a program that writes blocks. */
const FULL_BYTES = 65_536;

/** Writes `chunks` to `path`, synced, and returns their size and hash. */
export async function writeHashed(chunks: AsyncIterable<Uint8Array>, path: string, name: string, signal: AbortSignal): Promise<PackedFile> {
  const hash = createHash('sha256');
  let size = 0;
  const target = await open(path, 'w').catch(async (cause: unknown) => {
    throw await diskError(cause, path, 0);
  });
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      hash.update(chunk);
      await target.writeFile(chunk).catch(async (cause: unknown) => {
        throw await diskError(cause, path, chunk.byteLength);
      });
      size += chunk.byteLength;
    }
    await syncFile(target);
  } finally {
    await target.close();
  }
  return { name, size_bytes: size, sha256: hash.digest('hex') };
}

async function unpackZip({ name, files }: PackArchive, path: string, dir: string, signal: AbortSignal): Promise<PackedFile[]> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, 'r');
    const entries = await readZipDirectory(file, name);
    const packed: PackedFile[] = [];
    for (const wanted of files) {
      const entry = theOne(wanted, entries, ({ path }) => path, name);
      packed.push(await writeHashed(unzipEntry(file, name, entry), join(dir, wanted.name), wanted.name, signal));
    }
    return packed;
  } finally {
    await file?.close();
  }
}

/**
 * By the system's own tar and xz: Node reads no xz. A library in NVIDIA's archives is a link, `libcublas.so.13`, to a file that carries its full version, so
 * both are unpacked beside each other and the link is followed, though not out of that folder.
 */
async function unpackTar({ name, files }: PackArchive, path: string, dir: string, signal: AbortSignal): Promise<PackedFile[]> {
  const aside = join(dir, `${name}.unpacked`);
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside);
  try {
    const patterns = files.map(({ member }) => `*/${member}*`);
    await promisify(execFile)('tar', ['-xf', path, '-C', aside, '--no-same-owner', '--wildcards', ...patterns], { signal }).catch(async (cause: unknown) => {
      signal.throwIfAborted();
      // tar says why in the user's language
      if ((await freeBytesOf(dir)) < FULL_BYTES)
        throw await diskError(Object.assign(new Error('tar failed on a full disk', { cause }), { code: 'ENOSPC' }), aside, 0);
      throw unreadableTar(name, cause);
    });
    const root = await realpath(aside);
    const paths = (await readdir(root, { recursive: true })).map((found) => found.split(sep).join('/'));
    const packed: PackedFile[] = [];
    for (const wanted of files) {
      const found = join(
        root,
        theOne(wanted, paths, (found) => found, name),
      );
      const real = await realpath(found).catch(() => found);
      if (!real.startsWith(root + sep)) throw damagedPack(name, `has a ${wanted.member} that leads out of it`);
      packed.push(await takeHashed(real, join(dir, wanted.name), wanted.name, signal));
    }
    return packed;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** Moves a file that lies on the same disk, synced, and returns its size and hash: a copy would need its room twice. */
async function takeHashed(from: string, to: string, name: string, signal: AbortSignal): Promise<PackedFile> {
  const hash = createHash('sha256');
  const source = await open(from, 'r+');
  let size = 0;
  try {
    for await (const chunk of source.createReadStream({ highWaterMark: 1 << 20, autoClose: false, signal }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.byteLength;
    }
    await syncFile(source);
  } finally {
    await source.close();
  }
  await rename(from, to);
  return { name, size_bytes: size, sha256: hash.digest('hex') };
}

/** What of the archive is meant: the file of that name that lies nearest to its root. */
function theOne<T>({ member }: PackFile, entries: readonly T[], pathOf: (entry: T) => string, archive: string): T {
  const depth = (entry: T): number => pathOf(entry).split('/').length;
  const [found] = entries.filter((entry) => pathOf(entry) === member || pathOf(entry).endsWith(`/${member}`)).sort((a, b) => depth(a) - depth(b));
  if (found === undefined) throw damagedPack(archive, `holds no ${member}`);
  return found;
}

function unreadableTar(name: string, cause: unknown): AppError {
  const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n').slice(0, 2).join(' / ') : '';
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  if (isMissing || /xz: Cannot exec|xz: not found|xz.*No such file/i.test(said)) {
    const message = `${name} cannot be unpacked, since this system has no ${isMissing ? 'tar' : 'xz'}: install it (Debian: apt install tar xz-utils), or install the pack from wheels (--index).`;
    return new AppError('cuda_pack_unsupported', message, {}, { cause });
  }
  return damagedPack(name, `cannot be unpacked (${said === '' ? 'tar failed' : said.slice(0, 300)})`, cause);
}
