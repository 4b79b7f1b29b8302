import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { AppError } from '#shared/protocol/errors.ts';
import type { THUMBNAIL_WIDTHS } from '#shared/protocol/http.ts';

const MAX_PIXELS = 8192 * 8192;
const PREFIX_LENGTH = 65;
/** Each holds a whole picture in memory while it runs, beside the model. */
const MAX_AT_ONCE = 2;
/** Of 0 to 6: half the time of the library's own 4 for a twentieth more bytes. */
const WEBP_EFFORT = 2;

export interface Thumbnails {
  /** The WebP file, made when it is asked for the first time. Rejects with `picture_damaged`. */
  file(picturePath: string, width: (typeof THUMBNAIL_WIDTHS)[number]): Promise<string>;
  /** Removes what was made of pictures of these names; where that fails, files of no use are left. */
  forget(filenames: readonly string[]): Promise<void>;
}

/** Small versions of pictures, kept in `thumbnails/` of the data folder; the folder may be emptied at any time. */
export function createThumbnails(dataDir: string): Thumbnails {
  const dir = join(dataDir, 'thumbnails');
  const underWay = new Map<string, Promise<string>>();
  const waiting: (() => void)[] = [];
  let free = MAX_AT_ONCE;

  async function inTurn(path: string, make: () => Promise<void>): Promise<string> {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free--;
    try {
      await make();
      return path;
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  }

  return {
    async file(picturePath, width) {
      const { mtimeMs, size } = await stat(picturePath);
      // a picture that was made anew under its old name is another picture
      const path = join(dir, `${prefixOf(basename(picturePath))}${Math.round(mtimeMs)}-${size}-${width}.webp`);
      if (existsSync(path)) return path;
      const made = underWay.get(path) ?? inTurn(path, () => makeThumbnail(picturePath, width, dir, path));
      underWay.set(path, made);
      try {
        return await made;
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

async function makeThumbnail(picturePath: string, width: number, dir: string, path: string): Promise<void> {
  const small = await shrink(picturePath, width);
  await mkdir(dir, { recursive: true });
  const temporary = join(dir, `${randomUUID()}.part`);
  await writeFile(temporary, small);
  await rename(temporary, path);
}

async function shrink(picturePath: string, width: number): Promise<Buffer> {
  try {
    return await sharp(picturePath, { limitInputPixels: MAX_PIXELS })
      .resize({ width, withoutEnlargement: true })
      .webp({ quality: 82, effort: WEBP_EFFORT })
      .toBuffer();
  } catch (cause) {
    throw new AppError('picture_damaged', 'The picture cannot be decoded, so there is no smaller one of it.', {}, { cause });
  }
}
