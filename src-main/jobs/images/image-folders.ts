import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, copyFile, lstat, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { makeFolder } from '#main/lib/make-folder.ts';
import { waitForLock } from '#main/lib/wait-for-lock.ts';
import { freeBytesOf, keptElsewhere, renameDurably } from '#main/lib/write-file.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import { type JobWork, secondScaleOf } from '#shared/domain/job.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { JobsLog } from '../jobs.ts';
import type { StoredJob } from '../store/stored-job.ts';
import { originalFileName, upscaledFileName } from './file-name.ts';

/** Also the mark of a folder that is really there: the mount point of a disk that is not mounted does not have it. */
const BIN = '.bin';
const temporaryName = /^\.[0-9a-f]{16}-(?:original|upscaled)-([0-9a-f]{8})[0-9a-f]{8}\.part$/;

export interface ImageFoldersOptions {
  /** Where new images go. */
  dir: string;
  /** Further folders with images, which need not be there. */
  earlierDirs?: readonly string[];
  /** Folders in which images were written before; one of them is not created again. */
  usedDirs?: readonly string[];
  /** Called after the first image was written to a folder. */
  onUsed?: (dir: string) => void;
  /** The data folder: two programs that share an image folder have different ones. */
  dataDir: string;
  log: JobsLog;
}

/**
 * The folders of images: one for new images, and those that were that folder before, whose images stay there. A name is in one of them at most.
 * Names given to it are names that the program made; it never follows a link out of a folder. A folder that cannot be read is passed over.
 */
export class ImageFolders {
  #dir: string;
  /** All of them, `#dir` first. */
  #dirs: string[];
  /** The device number of the disk that `#dir` was on; null before it was found usable. */
  #disk: number | null = null;
  readonly #usedDirs: Set<string>;
  readonly #onUsed: (dir: string) => void;
  /** In the names of this program's unfinished files. */
  readonly #instance: string;
  readonly #spareFolder: string;
  readonly #log: JobsLog;

  constructor({ dir, earlierDirs = [], usedDirs = [], onUsed = () => {}, dataDir, log }: ImageFoldersOptions) {
    this.#dir = dir;
    this.#dirs = [dir, ...earlierDirs.filter((earlier) => earlier !== dir)];
    this.#usedDirs = new Set(usedDirs);
    this.#onUsed = onUsed;
    this.#instance = createHash('sha256').update(dataDir).digest('hex').slice(0, 8);
    this.#spareFolder = join(dataDir, 'unsaved');
    this.#log = log;
  }

  get dir(): string {
    return this.#dir;
  }

  /** Creates a folder that the user chose, where it is missing. Throws `folder_not_writable`. */
  async create(dir: string): Promise<void> {
    await createFolder(dir);
  }

  /** New images go to `dir` from now on, which `create` has made ready. */
  use(dir: string): void {
    this.#dir = dir;
    this.#disk = null;
    this.#dirs = [dir, ...this.#dirs.filter((other) => other !== dir)];
  }

  /** Creates the folder for new images if no image was ever in it. Throws `folder_not_writable`. */
  async prepare(): Promise<void> {
    if (!this.#usedDirs.has(this.#dir)) await this.create(this.#dir);
    await this.assertUsable();
  }

  /** Throws `folder_not_writable`, also for the empty mount point of a disk that is not mounted. */
  async assertUsable(): Promise<void> {
    try {
      await access(this.#dir, constants.W_OK);
      const { dev } = await stat(this.#dir);
      // the same disk as before, or a folder that is marked as ours
      if (this.#usedDirs.has(this.#dir) && dev !== this.#disk && !existsSync(join(this.#dir, BIN))) throw emptyFolder(this.#dir);
      this.#disk = dev;
      makeFolder(join(this.#dir, BIN));
    } catch (cause) {
      throw cause instanceof AppError ? cause : notWritable(this.#dir, cause);
    }
  }

  /** `Infinity` where the file system does not say. Throws `folder_not_writable`. */
  async freeBytes(): Promise<number> {
    await this.assertUsable();
    return freeBytesOf(this.#dir).catch((cause: unknown) => {
      throw notWritable(this.#dir, cause);
    });
  }

  /** A hidden name in the folder of new images, or in that of the image `beside`: the later rename stays on one file system. */
  temporaryPath(jobId: string, role: Recipe['role'], beside?: string): string {
    const folder = beside === undefined ? this.#dir : dirname(this.path(beside));
    return join(folder, `.${jobId.slice(0, 16)}-${role}-${this.#instance}${randomBytes(4).toString('hex')}.part`);
  }

  /** Where a finished image goes that its folder does not take: a disk that was full or removed during the run. */
  sparePath(filename: string): string {
    return join(this.#spareFolder, filename);
  }

  /** Where the image is, or would be written. */
  path(filename: string): string {
    return join(this.#dirs.find((dir) => existsSync(join(dir, filename))) ?? this.#dir, filename);
  }

  has(filename: string): boolean {
    return this.#dirs.some((dir) => existsSync(join(dir, filename)));
  }

  /** Whether every image of a completed job is there. */
  hasAll(job: StoredJob): boolean {
    return this.has(job.filename) && (secondScaleOf(job) === null || this.has(upscaledFileName(job.filename)));
  }

  /** Gives a complete, synced file its final name in its folder, durably. Throws `disk_full`, `folder_not_writable`, `disk_failed`. */
  async publish(temporaryPath: string, filename: string): Promise<void> {
    const folder = dirname(temporaryPath);
    try {
      await renameDurably(temporaryPath, join(folder, filename));
    } catch (error) {
      throw await keptElsewhere(error, this.sparePath(filename), (path) => copyFile(temporaryPath, path));
    }
    this.#noteUsed(folder);
  }

  /** Must not fail the image: the next one tries again. */
  #noteUsed(folder: string): void {
    if (this.#usedDirs.has(folder)) return;
    try {
      this.#onUsed(folder);
      this.#usedDirs.add(folder);
    } catch (thrown) {
      this.#log.warn({ err: thrown, folder }, 'the folder could not be saved as one that holds images');
    }
  }

  /** Removes an unfinished file, if it is there. One that cannot be removed now is removed at the next start. */
  async discard(path: string): Promise<void> {
    await rm(path, { force: true }).catch((cause: unknown) => this.#log.warn({ err: cause, path }, 'an unfinished file could not be removed'));
  }

  /** Removes the files that a killed process of this data folder left. Reads every name in the folders. */
  async removeTemporary(): Promise<void> {
    for (const dir of this.#dirs) {
      for (const name of await this.#namesIn(dir)) if (temporaryName.exec(name)?.[1] === this.#instance) await this.discard(join(dir, name));
    }
  }

  /** The recipe in an image of ours that is complete, else null. Never waits for a pipe or a device, and never throws. */
  async recipeOf(filename: string): Promise<Recipe | null> {
    const path = this.path(filename);
    try {
      return await readRecipe(path);
    } catch (cause) {
      if (errnoCode(cause) !== 'ENOENT') this.#log.warn({ err: cause, path }, 'an entry in the folder of images cannot be read and is passed over');
      return null;
    }
  }

  /** Names of the original images of ours, oldest first (a name begins with its date). */
  async originals(): Promise<string[]> {
    const names = await Promise.all(this.#dirs.map((dir) => this.#namesIn(dir)));
    return [...new Set(names.flat().filter((name) => originalFileName(name) === name))].sort();
  }

  /** Names of the original images of ours in the bin. */
  async binned(): Promise<string[]> {
    const names = await Promise.all(this.#dirs.map((dir) => this.#namesIn(join(dir, BIN))));
    return [...new Set(names.flat().flatMap((name) => originalFileName(name) ?? []))];
  }

  /** The path of an image whose real place is its folder; null where it is missing or a link leads elsewhere. */
  async servedPath(filename: string, isBinned: boolean): Promise<string | null> {
    const path = isBinned ? this.path(join(BIN, filename)) : this.path(filename);
    try {
      const [real, folder] = await Promise.all([realpath(path), realpath(dirname(path))]);
      return dirname(real) === folder ? real : null;
    } catch (thrown) {
      if (errnoCode(thrown) === 'ENOENT') return null;
      throw thrown;
    }
  }

  /** What a job's files take, in the bin or outside; null if no file is found and a folder is missing, since the files may be there. */
  async sizeBytes(filename: string): Promise<number | null> {
    const paths = this.#dirs.flatMap((dir) => [join(dir, filename), join(dir, BIN, filename)]).flatMap((path) => [path, upscaledFileName(path)]);
    const sizes = await Promise.all(paths.map(async (path) => (await lstat(path).catch(() => null))?.size ?? 0)); // missing: it takes nothing
    const total = sizes.reduce((sum, size) => sum + size, 0);
    return total === 0 && !this.#dirs.every((dir) => existsSync(dir)) ? null : total;
  }

  /** Moves both files of a job; missing ones are passed over, so that an interrupted move can be repeated. Throws `folder_not_writable`. */
  async moveToBin(filename: string): Promise<void> {
    await this.#move(filename, '', BIN);
  }

  async moveFromBin(filename: string): Promise<void> {
    await this.#move(filename, BIN, '');
  }

  /** Throws `folder_not_writable`. */
  async deleteFromBin(filename: string): Promise<void> {
    for (const dir of this.#dirs) {
      for (const name of [filename, upscaledFileName(filename)]) {
        const path = join(dir, BIN, name);
        await waitForLock(() => rm(path, { force: true })).catch((cause: unknown) => {
          if (errnoCode(cause) !== 'ENOTDIR') throw notWritable(dirname(path), cause);
        });
      }
    }
  }

  async #move(filename: string, from: string, to: string): Promise<void> {
    for (const dir of this.#dirs) {
      for (const name of [filename, upscaledFileName(filename)]) {
        const path = join(dir, from, name);
        if (!existsSync(path)) continue;
        try {
          makeFolder(join(dir, to));
          await waitForLock(() => rename(path, join(dir, to, name)));
        } catch (cause) {
          throw notWritable(join(dir, to), cause);
        }
      }
    }
  }

  /** Empty for a folder that cannot be read. */
  async #namesIn(folder: string): Promise<string[]> {
    try {
      return await readdir(folder);
    } catch (cause) {
      if (errnoCode(cause) !== 'ENOENT') this.#log.warn({ err: cause, folder }, 'a folder of images cannot be read and is passed over');
      return [];
    }
  }
}

/** A job's images can take this much, stored without any compression. */
export function imageBytes(work: JobWork): number {
  const { width, height } = work.params;
  return work.taskType === 'upscale' ? 4 * width * height : 3 * width * height * (1 + (secondScaleOf(work) ?? 0) ** 2);
}

async function createFolder(dir: string): Promise<void> {
  try {
    makeFolder(join(dir, BIN));
    await access(dir, constants.W_OK);
  } catch (cause) {
    throw notWritable(dir, cause);
  }
}

function emptyFolder(folder: string): AppError<'folder_not_writable'> {
  const message =
    `The folder ${folder} held images, and now it is empty. Is its disk mounted? Mount it, or choose another folder in the settings. ` +
    `If the images were deleted on purpose, create the folder ${join(folder, BIN)}.`;
  return new AppError('folder_not_writable', message, { folder });
}

function notWritable(folder: string, cause: unknown): AppError<'folder_not_writable'> {
  const message = `Images cannot be written to ${folder} (${errnoCode(cause)}). Create the folder, mount its disk, give this user write access to it, or choose another one.`;
  return new AppError('folder_not_writable', message, { folder }, { cause });
}
