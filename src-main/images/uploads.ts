import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '#main/lib/make-folder.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { replaceFile } from '#main/lib/write-file.ts';
import type { ImageDescription } from './decode-image.ts';
import type { Images } from './images.ts';

const KEPT_MS = 24 * 3_600_000;
/** Signature, then length, type, width and height of IHDR. Source: https://www.w3.org/TR/png-3/#11IHDR */
const HEADER_BYTES = 24;

/** The decoded image of an upload, kept as a PNG of ours. */
export interface KeptImage {
  id: string;
  path: string;
  width: number;
  height: number;
}

/** Uploads, and images made here that a job started from. Only what was decoded is kept: never the file that was sent, nor its metadata. */
export interface Uploads {
  /** Decodes a file and keeps the image unless it has more than `MAX_INPUT_PIXELS`. `bytes` may be empty afterwards. Rejects as `decodeImage`, and for the disk. */
  add(bytes: Uint8Array): Promise<{ description: ImageDescription; image: KeptImage | null }>;
  /** As `add`, for a file; one that is kept already is not decoded again. */
  addFile(path: string): Promise<KeptImage | null>;
  /** Null where it is not kept. It stays for another day. */
  find(id: string): Promise<KeptImage | null>;
  /** Whether a mask repaints anything. */
  repaints(mask: KeptImage): Promise<boolean>;
  /** Removes what is older than a day and not in `used`. */
  removeUnused(used: ReadonlySet<string>): Promise<void>;
}

/** Keeps the images in `dir`, one file each, named by the SHA-256 of what was sent. */
export function createUploads(dir: string, images: Images, now: () => number = Date.now): Uploads {
  const pathOf = (id: string): string => join(dir, `${id}.png`);

  async function add(bytes: Uint8Array): ReturnType<Uploads['add']> {
    const { png, ...description } = await images.import(bytes);
    if (png === null) return { description, image: null };
    const { id, width, height } = description;
    makeFolder(dir, 0o700);
    await replaceFile(pathOf(id), png, 0o600);
    await touch(pathOf(id));
    return { description, image: { id, path: pathOf(id), width, height } };
  }

  async function find(id: string): Promise<KeptImage | null> {
    const path = pathOf(id);
    const size = await unlessMissing(sizeOf(path), null);
    if (size === null) return null;
    await touch(path);
    return { id, path, ...size };
  }

  async function touch(path: string): Promise<void> {
    const seconds = now() / 1000;
    await utimes(path, seconds, seconds);
  }

  return {
    add,
    find,
    async addFile(path) {
      const known = await find(await hashOf(path));
      return known ?? (await add(await readFile(path))).image;
    },
    repaints: ({ path }) => images.repaints(path),
    async removeUnused(used) {
      for (const name of await unlessMissing(readdir(dir), [])) {
        const path = join(dir, name);
        const { mtimeMs } = await stat(path);
        if (now() - mtimeMs > KEPT_MS && !used.has(name.replace(/\.png$/, ''))) await rm(path, { force: true });
      }
    },
  };
}

async function sizeOf(path: string): Promise<{ width: number; height: number }> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return { width: buffer.readUInt32BE(16), height: buffer.readUInt32BE(20) };
  } finally {
    await file.close();
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest('hex');
}
