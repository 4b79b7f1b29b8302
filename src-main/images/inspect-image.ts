import { readFile } from 'node:fs/promises';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { XMP_KEYWORD } from '#main/provenance/image-texts.ts';
import { pixelHash } from '#main/provenance/pixel-hash.ts';
import type { ImageSource, InspectedImage } from '#main/provenance/verify-image.ts';
import { isMarked } from '#main/provenance/xmp-packet.ts';
import { parseRecipe, RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { type DecodedImage, decodeImage, decoding, ownLimits } from './decode-image.ts';
import type { ImageFormat } from './image-format.ts';
import { loadSharp } from './load-sharp.ts';

const IMAGE_DESCRIPTION = 0x010e;
const sharp = loadSharp();

/** Reads a file of this program or of any other; either `path` or `bytes`. Throws as `decodeImage`, and the system's error for `path`. */
export async function inspectImage(source: ImageSource): Promise<InspectedImage> {
  const bytes = await bytesOf(source);
  const decoded = await decodeImage(bytes, ownLimits);
  const { format, width, height } = decoded;
  return { format, width, height, pixelsSha256: await pixelHash(planesOf(decoded)), ...(await readOrigin(bytes, format)) };
}

async function readOrigin(bytes: Uint8Array, format: ImageFormat): Promise<Pick<InspectedImage, 'recipe' | 'isMarked'>> {
  if (format === 'png') {
    const texts = readPngTexts(bytes);
    const textOf = (wanted: string) => texts.find(({ keyword }) => keyword === wanted)?.text ?? '';
    return { recipe: parseRecipe(textOf(RECIPE_KEYWORD)), isMarked: isMarked(textOf(XMP_KEYWORD)) };
  }
  const { exif, xmpAsString = '' } = await decoding(sharp(bytes).metadata());
  return { recipe: exif === undefined ? null : parseRecipe(imageDescription(exif)), isMarked: isMarked(xmpAsString) };
}

export async function bytesOf(source: ImageSource): Promise<Uint8Array> {
  return 'path' in source ? readFile(source.path) : source.bytes;
}

/** RGB and alpha apart. */
export function planesOf({ data, channels }: Pick<DecodedImage, 'data' | 'channels'>): { data: Uint8Array; alpha?: Uint8Array } {
  if (channels === 3) return { data };
  const pixels = data.length / 4;
  const planes = { data: new Uint8Array(3 * pixels), alpha: new Uint8Array(pixels) };
  for (let i = 0; i < pixels; i++) {
    planes.data.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
    planes.alpha[i] = data[4 * i + 3] ?? 0;
  }
  return planes;
}

/** The text of that tag in the first directory, or an empty one. Source: Exif 2.32, 4.6.2 */
function imageDescription(exif: Buffer): string {
  const tiff = exif.toString('latin1', 0, 6) === 'Exif\0\0' ? exif.subarray(6) : exif;
  const isLittleEndian = tiff.toString('latin1', 0, 2) === 'II';
  const number = (at: number, size: 2 | 4) => (isLittleEndian ? tiff.readUIntLE(at, size) : tiff.readUIntBE(at, size));
  try {
    const directory = number(4, 4);
    for (let entry = 0; entry < number(directory, 2); entry++) {
      const at = directory + 2 + 12 * entry;
      if (number(at, 2) !== IMAGE_DESCRIPTION) continue;
      const length = number(at + 4, 4);
      const start = length <= 4 ? at + 8 : number(at + 8, 4);
      return tiff.toString('utf8', start, start + length).replace(/\0+$/, '');
    }
  } catch (thrown) {
    // an offset behind the end
    if (!(thrown instanceof RangeError)) throw thrown;
  }
  return '';
}
