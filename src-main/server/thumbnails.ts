import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Images } from '#main/images/images.ts';
import type { THUMBNAIL_WIDTHS } from '#shared/protocol/http.ts';

const PREFIX_LENGTH = 65;

export interface Thumbnails {
  /** The JPEG file, made when it is asked for the first time. Rejects with `picture_damaged`. */
  file(picturePath: string, width: (typeof THUMBNAIL_WIDTHS)[number]): Promise<string>;
  /** Removes what was made of pictures of these names; where that fails, files of no use are left. */
  forget(filenames: readonly string[]): Promise<void>;
}

/** Small versions of images, kept in `thumbnails/` of the data folder; the folder may be emptied at any time. */
export function createThumbnails(dataDir: string, images: Images): Thumbnails {
  const dir = join(dataDir, 'thumbnails');
  const underWay = new Map<string, Promise<void>>();

  async function make(picturePath: string, width: number, path: string): Promise<void> {
    await mkdir(dir, { recursive: true });
    const temporary = join(dir, `${randomUUID()}.part`);
    try {
      await images.shrink(picturePath, width, temporary);
      await rename(temporary, path);
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw thrown;
    }
  }

  return {
    async file(picturePath, width) {
      const { mtimeMs, size } = await stat(picturePath);
      // a picture that was made anew under its old name is another picture
      const path = join(dir, `${prefixOf(basename(picturePath))}${Math.round(mtimeMs)}-${size}-${width}.jpg`);
      if (existsSync(path)) return path;
      const made = underWay.get(path) ?? make(picturePath, width, path);
      underWay.set(path, made);
      try {
        await made;
        return path;
      } finally {
        underWay.delete(path);
      }
    },
    async forget(filenames) {
      const prefixes = new Set(filenames.map(prefixOf));
      if (!existsSync(dir)) return;
      const names = await readdir(dir);
      await Promise.all(names.filter((name) => prefixes.has(name.slice(0, PREFIX_LENGTH))).map((name) => rm(join(dir, name), { force: true })));
    },
  };
}

/** Names of pictures can be as long as a file name may be, so their digest stands for them. */
function prefixOf(filename: string): string {
  return `${createHash('sha256').update(filename).digest('hex')}-`;
}
