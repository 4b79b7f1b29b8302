import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { parseRecipe, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';

/** Our texts are right behind the PNG header: at most 4,000 characters of prompt, twice. */
const HEAD_BYTES = 131_072;
/** Length 0, type IEND, CRC. Source: https://www.w3.org/TR/png-3/#11IEND */
const PNG_END = Buffer.from('0000000049454e44ae426082', 'hex');

/**
 * The recipe in a PNG of ours that is complete to its last byte, else null. Reads the chunks before the pixels and the end mark: a file under its final name
 * was complete before it got that name. Throws the system's error.
 */
export async function readRecipe(path: string): Promise<Recipe | null> {
  // opening a pipe would wait for its other end
  if (!(await lstat(path)).isFile()) return null;
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const { size } = await file.stat();
    const { buffer: head, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const { buffer: tail } = await file.read(Buffer.alloc(PNG_END.length), 0, PNG_END.length, Math.max(0, size - PNG_END.length));
    const pixelsAt = firstPixelChunk(head.subarray(0, bytesRead));
    if (pixelsAt === null || !tail.equals(PNG_END)) return null;
    return recipeIn(Buffer.concat([head.subarray(0, pixelsAt), PNG_END]));
  } finally {
    await file.close();
  }
}

/** Offset of the first IDAT chunk. A chunk is length 4, type 4, data, CRC 4; the first is behind 8 bytes of signature. */
function firstPixelChunk(head: Buffer): number | null {
  for (let at = 8; at + 8 <= head.length; at += 12 + head.readUInt32BE(at)) {
    if (head.toString('latin1', at + 4, at + 8) === 'IDAT') return at;
  }
  return null;
}

function recipeIn(png: Buffer): Recipe | null {
  const entry = readPngTexts(png).find(({ keyword }) => keyword === RECIPE_KEYWORD);
  return entry === undefined ? null : parseRecipe(entry.text);
}
