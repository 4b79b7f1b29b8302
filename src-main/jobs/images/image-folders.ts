import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { access, open, realpath, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { makeFolder } from '#main/lib/make-folder.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { renameDurably } from '#main/lib/write-file.ts';
import { RECIPE_KEYWORD, type Recipe, recipeSchema } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { originalFileName, upscaledFileName } from './file-name.ts';

const BIN = '.bin';
const temporaryName = /^\.[0-9a-f]{16}-(original|upscaled)-[0-9a-f]{16}\.part$/;
/** Our texts stand right behind the PNG header: at most 4,000 characters of prompt, twice. */
const HEAD_BYTES = 131_072;
/** Length 0, type IEND, CRC. Source: https://www.w3.org/TR/png-3/#11IEND */
const PNG_END = Buffer.from('0000000049454e44ae426082', 'hex');

/**
 * The folders of pictures: one that new ones go to, and those that held that place before, whose pictures stay there. A name is in one of them at most.
 * Names given to it are names that the program made; it never follows a link out of a folder.
 */
export class ImageFolders {
  #dir: string;
  /** All of them, `#dir` first. One that is away for now (an unplugged disk) is passed over. */
  #dirs: string[];

  /** `earlierDirs` are folders of pictures beside `dir`; the folders need not be there. */
  constructor(dir: string, earlierDirs: readonly string[] = []) {
    this.#dir = dir;
    this.#dirs = [dir, ...earlierDirs.filter((earlier) => earlier !== dir)];
  }

  /** Removes what runs that were killed have left. Reads every name in the folders, which takes its time where there are many pictures. */
  removeTemporary(): void {
    for (const folder of this.#dirs) {
      for (const name of namesIn(folder)) if (temporaryName.test(name)) rmSync(join(folder, name), { force: true });
    }
  }

  /** Where new pictures go. */
  get dir(): string {
    return this.#dir;
  }

  /** New pictures go to `dir` from now on, which `prepareOutputsFolder` has made ready. */
  use(dir: string): void {
    this.#dir = dir;
    this.#dirs = [dir, ...this.#dirs.filter((other) => other !== dir)];
  }

  /** A hidden name in the folder of new pictures, or in that of the picture `beside`: the later rename stays on one file system. */
  temporaryPath(jobId: string, role: Recipe['role'], beside?: string): string {
    const folder = beside === undefined ? this.#dir : dirname(this.path(beside));
    return join(folder, `.${jobId.slice(0, 16)}-${role}-${randomBytes(8).toString('hex')}.part`);
  }

  /** Where the picture is, or would come to. */
  path(filename: string): string {
    return join(this.#dirs.find((dir) => existsSync(join(dir, filename))) ?? this.#dir, filename);
  }

  has(filename: string): boolean {
    return this.#dirs.some((dir) => existsSync(join(dir, filename)));
  }

  hasBoth(filename: string): boolean {
    return this.has(filename) && this.has(upscaledFileName(filename));
  }

  /** Gives a complete, synced file its final name in its folder, durably. Throws `disk_full`, `folder_not_writable`, `disk_failed`. */
  async publish(temporaryPath: string, filename: string): Promise<void> {
    await renameDurably(temporaryPath, join(dirname(temporaryPath), filename));
  }

  /** Also where there is no such file. */
  async discard(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** The recipe in a picture of ours that is there to its last byte, else null. */
  async recipeOf(filename: string): Promise<Recipe | null> {
    try {
      return await readRecipe(this.path(filename));
    } catch (thrown) {
      if (thrown instanceof AppError || errnoCode(thrown) === 'ENOENT') return null;
      throw thrown;
    }
  }

  /** Names of the original pictures of ours, oldest first (a name begins with its date). */
  originals(): string[] {
    const names = this.#dirs.flatMap(namesIn).filter((name) => originalFileName(name) === name);
    return [...new Set(names)].sort();
  }

  /** The path of a picture whose real place is its folder; null where it is absent or a link leads elsewhere. */
  async servedPath(filename: string, isBinned = false): Promise<string | null> {
    const path = isBinned ? this.#binPath(filename) : this.path(filename);
    try {
      const [real, folder] = await Promise.all([realpath(path), realpath(dirname(path))]);
      return dirname(real) === folder ? real : null;
    } catch (thrown) {
      if (errnoCode(thrown) === 'ENOENT') return null;
      throw thrown;
    }
  }

  #binPath(filename: string): string {
    return join(this.#dirs.find((dir) => existsSync(join(dir, BIN, filename))) ?? this.#dir, BIN, filename);
  }

  /** What a job's files take, in the bin or outside of it. */
  sizeBytes(filename: string): number {
    const paths = this.#dirs.flatMap((dir) => [join(dir, filename), join(dir, BIN, filename)]);
    const sizes = paths.flatMap((path) => [path, upscaledFileName(path)]).map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Names of the original pictures in the bin. */
  binned(): string[] {
    const names = this.#dirs.flatMap((dir) => namesIn(join(dir, BIN))).map(originalFileName);
    return [...new Set(names.filter((name) => name !== null))];
  }

  /** Both files of a job; those that are not there are passed over, so that an interrupted move can be done again. */
  moveToBin(filename: string): void {
    this.#move(filename, '', BIN);
  }

  moveFromBin(filename: string): void {
    this.#move(filename, BIN, '');
  }

  deleteFromBin(filename: string): void {
    for (const dir of this.#dirs) {
      for (const name of [filename, upscaledFileName(filename)]) rmSync(join(dir, BIN, name), { force: true });
    }
  }

  /** Throws `folder_not_writable`. */
  async freeBytes(): Promise<number> {
    try {
      await access(this.#dir, constants.W_OK);
      const { bavail, bsize } = await statfs(this.#dir);
      return bavail * bsize;
    } catch (cause) {
      throw notWritable(this.#dir, cause);
    }
  }

  #move(filename: string, from: string, to: string): void {
    for (const dir of this.#dirs) {
      for (const name of [filename, upscaledFileName(filename)]) {
        const path = join(dir, from, name);
        if (!existsSync(path)) continue;
        try {
          makeFolder(join(dir, to));
          renameSync(path, join(dir, to, name));
        } catch (cause) {
          throw notWritable(join(dir, to), cause);
        }
      }
    }
  }
}

/** Creates a folder for pictures and its bin where they are absent. Throws `folder_not_writable`. */
export function prepareOutputsFolder(dir: string): void {
  try {
    makeFolder(join(dir, BIN));
    accessSync(dir, constants.W_OK);
  } catch (cause) {
    throw notWritable(dir, cause);
  }
}

/** A picture of `width` x `height` and its enlargement can take this much, stored without any compression. */
export function imageBytes(width: number, height: number): number {
  return 3 * width * height * (1 + 16);
}

/** Nothing for a folder that is not there. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoCode(thrown))) return [];
    throw thrown;
  }
}

/** Reads the chunks before the pixels and the end mark, not the pixels: a file under its final name was complete before it got that name. */
async function readRecipe(path: string): Promise<Recipe | null> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const { buffer: head, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const { buffer: tail } = await file.read(Buffer.alloc(PNG_END.length), 0, PNG_END.length, Math.max(0, size - PNG_END.length));
    const pixelsAt = firstPixelChunk(head.subarray(0, bytesRead));
    if (pixelsAt === null || !tail.equals(PNG_END)) return null;
    const entry = readPngTexts(Buffer.concat([head.subarray(0, pixelsAt), PNG_END])).find(({ keyword }) => keyword === RECIPE_KEYWORD);
    return entry === undefined ? null : parseRecipe(entry.text);
  } finally {
    await file.close();
  }
}

/** Offset of the first IDAT chunk. A chunk is length 4, type 4, data, CRC 4; the first stands behind 8 bytes of signature. */
function firstPixelChunk(head: Buffer): number | null {
  for (let at = 8; at + 8 <= head.length; at += 12 + head.readUInt32BE(at)) {
    if (head.toString('latin1', at + 4, at + 8) === 'IDAT') return at;
  }
  return null;
}

function parseRecipe(json: string): Recipe | null {
  try {
    return recipeSchema.safeParse(JSON.parse(json)).data ?? null;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

function notWritable(folder: string, cause: unknown): AppError<'folder_not_writable'> {
  const message = `Pictures cannot be written to ${folder} (${errnoCode(cause)}). Create the folder, give this user the right to write there, or choose another one.`;
  return new AppError('folder_not_writable', message, { folder }, { cause });
}
