import { randomBytes } from 'node:crypto';
import { constants, existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { access, open, realpath, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { readPngTexts } from '#main/lib/png.ts';
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

/** The folder of pictures. Names given to it are names that the program made; it never follows a link out of the folder. */
export class Outputs {
  readonly dir: string;

  /** Creates the folder and its bin, and removes what runs that were killed have left. Throws `folder_not_writable`. */
  constructor(dir: string) {
    try {
      mkdirSync(join(dir, BIN), { recursive: true });
      this.dir = realpathSync(dir);
      for (const name of readdirSync(this.dir)) {
        if (temporaryName.test(name)) rmSync(join(this.dir, name), { force: true });
      }
    } catch (cause) {
      throw notWritable(dir, cause);
    }
  }

  /** A hidden name in the same folder, so that the later rename stays on one file system. */
  temporaryPath(jobId: string, role: Recipe['role']): string {
    return join(this.dir, `.${jobId.slice(0, 16)}-${role}-${randomBytes(8).toString('hex')}.part`);
  }

  path(filename: string): string {
    return join(this.dir, filename);
  }

  has(filename: string): boolean {
    return existsSync(this.path(filename));
  }

  hasBoth(filename: string): boolean {
    return this.has(filename) && this.has(upscaledFileName(filename));
  }

  /** Gives a complete, synced file its final name, durably. Throws `disk_full`, `folder_not_writable`, `disk_failed`. */
  async publish(temporaryPath: string, filename: string): Promise<void> {
    await renameDurably(temporaryPath, this.path(filename));
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

  /** Names of the original pictures of ours in the folder, oldest first (a name begins with its date). */
  originals(): string[] {
    return readdirSync(this.dir)
      .filter((name) => originalFileName(name) === name)
      .sort();
  }

  /** The path of a picture whose real place is this folder; null where it is absent or a link leads elsewhere. */
  async servedPath(filename: string): Promise<string | null> {
    try {
      const path = await realpath(this.path(filename));
      return dirname(path) === this.dir ? path : null;
    } catch (thrown) {
      if (errnoCode(thrown) === 'ENOENT') return null;
      throw thrown;
    }
  }

  /** Names of the original pictures in the bin. */
  binned(): string[] {
    const names = readdirSync(join(this.dir, BIN)).map(originalFileName);
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
    for (const name of [filename, upscaledFileName(filename)]) rmSync(join(this.dir, BIN, name), { force: true });
  }

  /** Throws `folder_not_writable`. */
  async freeBytes(): Promise<number> {
    try {
      await access(this.dir, constants.W_OK);
      const { bavail, bsize } = await statfs(this.dir);
      return bavail * bsize;
    } catch (cause) {
      throw notWritable(this.dir, cause);
    }
  }

  #move(filename: string, from: string, to: string): void {
    for (const name of [filename, upscaledFileName(filename)]) {
      const path = join(this.dir, from, name);
      try {
        if (existsSync(path)) renameSync(path, join(this.dir, to, name));
      } catch (cause) {
        throw notWritable(join(this.dir, to), cause);
      }
    }
  }
}

/** A picture of `width` x `height` and its enlargement can take this much, stored without any compression. */
export function pictureBytes(width: number, height: number): number {
  return 3 * width * height * (1 + 16);
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
