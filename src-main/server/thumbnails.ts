import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Images } from '#main/images/images.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import type { THUMBNAIL_WIDTHS } from '#shared/protocol/http.ts';

export interface Thumbnails {
  /** A WebP file, made at the first request; the image itself if the disk does not take the file. Rejects with `picture_damaged`. */
  file(imagePath: string, width: (typeof THUMBNAIL_WIDTHS)[number]): Promise<string>;
  /** Removes the thumbnails of images with these names. */
  forget(filenames: readonly string[]): Promise<void>;
}

/** `RIFF`, the length of the rest, `WEBP`. Source: https://developers.google.com/speed/webp/docs/riff_container */
const RIFF_HEADER_BYTES = 12;
/** More at a time would fill the file system's threads, which every other request needs too. */
const REMOVALS_AT_ONCE = 2;

/** Small versions of images, a folder per image in `thumbnails/` of the data folder. That folder may be emptied at any time. `marksImages` may answer differently at any time. */
export function createThumbnails(dataDir: string, images: Images, marksImages: () => boolean, log: Pick<FastifyBaseLogger, 'warn'>): Thumbnails {
  const dir = join(dataDir, 'thumbnails');
  const underWay = new Map<string, Promise<string>>();
  removeOldFiles(dir).catch((thrown: unknown) => log.warn({ err: thrown }, 'thumbnails of an older version could not be removed'));

  async function make(imagePath: string, width: number, isMarked: boolean, path: string): Promise<string> {
    if (await isWholeWebp(path)) return path;
    const bytes = await images.thumbnail({ path: imagePath, width, isMarked });
    const draft = join(dirname(path), `${randomUUID()}.part`);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(draft, bytes, { flag: 'wx' });
      await rename(draft, path);
      return path;
    } catch (thrown) {
      log.warn({ err: thrown, file: path }, 'a thumbnail could not be written; the image itself is sent');
      await rm(draft, { force: true }).catch(() => {
        // the write's error is logged; a draft is removed with the folder of its image
      });
      return imagePath;
    }
  }

  return {
    async file(imagePath, width) {
      const { mtimeMs, size } = await stat(imagePath);
      // an image that was generated again under its old name is another image
      const isMarked = marksImages();
      const path = join(dir, folderOf(basename(imagePath)), `${Math.round(mtimeMs)}-${size}-${width}${isMarked ? '-marked' : ''}.webp`);
      const running = underWay.get(path);
      if (running) return running;
      const made = make(imagePath, width, isMarked, path).finally(() => underWay.delete(path));
      underWay.set(path, made);
      return made;
    },
    async forget(filenames) {
      for (let at = 0; at < filenames.length; at += REMOVALS_AT_ONCE) {
        await Promise.all(filenames.slice(at, at + REMOVALS_AT_ONCE).map((name) => rm(join(dir, folderOf(name)), { recursive: true, force: true })));
      }
    },
  };
}

/** Names of images can be as long as a file name may be, so their digest stands for them. */
function folderOf(filename: string): string {
  return createHash('sha256').update(filename).digest('hex');
}

/** False for a missing or unreadable file, and for one that a power failure left empty or cut: each is made again. */
async function isWholeWebp(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(RIFF_HEADER_BYTES), 0, RIFF_HEADER_BYTES, 0);
      return bytesRead === RIFF_HEADER_BYTES && buffer.toString('latin1', 8) === 'WEBP' && buffer.readUInt32LE(4) + 8 === (await file.stat()).size;
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}

/** Earlier versions kept JPEG files without folders. */
async function removeOldFiles(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((thrown: unknown) => {
    if (errnoCode(thrown) === 'ENOENT') return [];
    throw thrown;
  });
  for (const entry of entries) if (entry.isFile()) await rm(join(dir, entry.name), { force: true });
}
