import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { promisify } from 'node:util';
import { syncFile } from '#main/lib/sync-file.ts';
import { diskError, freeBytesOf } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { damagedPack } from './damaged-pack.ts';
import type { PackedFile } from './pack-folder.ts';
import type { PackArchive, PackFile } from './pack-plan.ts';
import { openZip } from './zip-archive.ts';

/**
 * Unpacks the wanted files of the archive at `path` into `dir`; they are on disk when this resolves.
 * Throws `cuda_pack_damaged`, `disk_full`, `folder_not_writable`, `cuda_pack_unsupported` without tar or xz, or the signal's reason.
 */
export async function unpackArchive(archive: PackArchive, path: string, dir: string, signal: AbortSignal): Promise<PackedFile[]> {
  return archive.type === 'zip' ? unpackZip(archive, path, dir, signal) : unpackTar(archive, path, dir, signal);
}

/** A disk with less space than this is full for a program that writes blocks. */
const FULL_BYTES = 65_536;

/** Writes `chunks` to `path`, syncs it, and returns its size and hash. */
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
  const zip = await openZip(path, name);
  try {
    const packed: PackedFile[] = [];
    for (const wanted of files) {
      const entry = findFile(wanted, zip.entries, ({ fileName }) => fileName, name);
      packed.push(await writeHashed(zip.read(entry), join(dir, wanted.name), wanted.name, signal));
    }
    return packed;
  } finally {
    zip.close();
  }
}

/**
 * Uses the system's tar and xz, since Node cannot read xz. Libraries in NVIDIA's archives are links, such as `libcublas.so.13`, to a file with the full
 * version in its name. Both are unpacked and the link is followed, but not out of that folder.
 */
async function unpackTar({ name, files }: PackArchive, path: string, dir: string, signal: AbortSignal): Promise<PackedFile[]> {
  const unpackedDir = join(dir, `${name}.unpacked`);
  await rm(unpackedDir, { recursive: true, force: true });
  await mkdir(unpackedDir);
  try {
    const patterns = files.map(({ member }) => `*/${member}*`);
    await promisify(execFile)('tar', ['-xf', path, '-C', unpackedDir, '--no-same-owner', '--wildcards', ...patterns], { signal }).catch(
      async (cause: unknown) => {
        signal.throwIfAborted();
        // tar's own message is in the user's language
        if ((await freeBytesOf(dir)) < FULL_BYTES)
          throw await diskError(Object.assign(new Error('tar failed on a full disk', { cause }), { code: 'ENOSPC' }), unpackedDir, 0);
        throw unreadableTar(name, cause);
      },
    );
    const root = await realpath(unpackedDir);
    const paths = (await readdir(root, { recursive: true })).map((found) => found.split(sep).join('/'));
    const packed: PackedFile[] = [];
    for (const wanted of files) {
      const member = findFile(wanted, paths, (found) => found, name);
      const real = await realpath(join(root, member)).catch(() => join(root, member));
      if (!real.startsWith(root + sep)) throw damagedPack(name, `has a ${wanted.member} that leads out of it`);
      packed.push(await moveHashed(real, join(dir, wanted.name), wanted.name, signal));
    }
    return packed;
  } finally {
    await rm(unpackedDir, { recursive: true, force: true });
  }
}

/** Moves a file, since a copy would need its space twice; syncs it and returns its size and hash. */
async function moveHashed(from: string, to: string, name: string, signal: AbortSignal): Promise<PackedFile> {
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

/** The file with the wanted name that is nearest to the root of the archive. */
function findFile<T>({ member }: PackFile, entries: readonly T[], pathOf: (entry: T) => string, archive: string): T {
  const depth = (entry: T): number => pathOf(entry).split('/').length;
  const [found] = entries.filter((entry) => pathOf(entry) === member || pathOf(entry).endsWith(`/${member}`)).sort((a, b) => depth(a) - depth(b));
  if (found === undefined) throw damagedPack(archive, `has no ${member}`);
  return found;
}

function unreadableTar(name: string, cause: unknown): AppError {
  const output = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n').slice(0, 2).join(' / ') : '';
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  if (isMissing || /xz: Cannot exec|xz: not found|xz.*No such file/i.test(output)) {
    const message = `${name} cannot be unpacked, because this system has no ${isMissing ? 'tar' : 'xz'}. Install it (Debian: apt install tar xz-utils), or install the pack from wheels (--index).`;
    return new AppError('cuda_pack_unsupported', message, {}, { cause });
  }
  return damagedPack(name, `cannot be unpacked (${output === '' ? 'tar failed' : output.slice(0, 300)})`, cause);
}
