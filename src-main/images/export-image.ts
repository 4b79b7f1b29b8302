import { readFile } from 'node:fs/promises';
import { canonicalJson } from '#main/lib/canonical-json.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { replacePngTexts } from '#main/lib/replace-png-texts.ts';
import { imageTexts, XMP_KEYWORD } from '#main/provenance/image-texts.ts';
import { xmpPacket } from '#main/provenance/xmp-packet.ts';
import { parseRecipe, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { ExportFormat, ExportMetadata } from '#shared/protocol/http.ts';
import { decoding } from './decode-image.ts';
import { assertSidesFit } from './encode-image.ts';
import { loadSharp } from './load-sharp.ts';

export interface ExportRequest {
  /** A PNG that this program wrote. */
  path: string;
  format: ExportFormat;
  /** 1 to 100, for JPEG and WebP. */
  quality: number;
  metadata: ExportMetadata;
  /** Whether `all` includes the marks although the file has none. */
  isMarked: boolean;
}

const sharp = loadSharp();

/**
 * A copy of one of our images. A PNG keeps its compressed pixels; JPEG and WebP carry the recipe as EXIF ImageDescription, escaped to ASCII.
 * Throws `picture_damaged`, also for a file without a recipe unless it is to have no metadata, and `bad_param` `format` if a side is too long for the format.
 */
export async function exportImage({ path, format, quality, metadata, isMarked }: ExportRequest): Promise<Uint8Array> {
  const file = await readFile(path);
  const texts = readPngTexts(file);
  const recipe = metadata === 'none' ? null : recipeOf(texts.find(({ keyword }) => keyword === RECIPE_KEYWORD)?.text);
  const hasMarks = recipe !== null && (metadata === 'marks' || isMarked || texts.some(({ keyword }) => keyword === XMP_KEYWORD));
  if (format === 'png') {
    const all = recipe === null ? [] : imageTexts(recipe, hasMarks);
    return replacePngTexts(file, metadata === 'all' ? all : all.filter(({ keyword }) => keyword === XMP_KEYWORD));
  }
  const source = sharp(file, { failOn: 'error', limitInputPixels: false, sequentialRead: true });
  const { width, height } = await decoding(source.metadata());
  assertSidesFit(format, width, height);
  const xmp = hasMarks ? xmpPacket(recipe) : null;
  const exif = recipe !== null && metadata === 'all' ? asciiJson(recipe) : null;
  if (xmp !== null) source.withXmp(xmp);
  if (exif !== null) source.withExif({ IFD0: { ImageDescription: exif } });
  const bytes = await decoding((format === 'webp' ? source.webp({ quality }) : source.jpeg({ quality, mozjpeg: true })).toBuffer());
  await assertCarries(bytes, { xmp, exif });
  return bytes;
}

function recipeOf(json: string | undefined): Recipe {
  const recipe = json === undefined ? null : parseRecipe(json);
  if (recipe !== null) return recipe;
  throw new AppError('picture_damaged', 'The image has no recipe that this version reads. Export it with metadata=none, or generate it again.', {});
}

function asciiJson(recipe: Recipe): string {
  return canonicalJson(recipe).replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A JPEG segment holds 64 KiB, and libvips leaves out what is longer without an error. */
async function assertCarries(bytes: Uint8Array, { xmp, exif }: { xmp: string | null; exif: string | null }): Promise<void> {
  const written = await decoding(sharp(bytes).metadata());
  if (xmp !== null && written.xmpAsString !== xmp) throw notCarried('marks');
  if (exif !== null && written.exif?.includes(exif) !== true) throw notCarried('recipe');
}

function notCarried(what: string): AppError<'bad_param'> {
  return new AppError('bad_param', `The ${what} of this image cannot be written into the format. Take png, or metadata=none.`, { field: 'format' });
}
