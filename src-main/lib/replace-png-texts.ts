import { PNG_SIGNATURE, type PngText, textChunk } from './png.ts';
import { damagedPng, pngChunks } from './read-png.ts';

/** Chunks that describe an image. */
const describing: ReadonlySet<string> = new Set(['tEXt', 'zTXt', 'iTXt', 'eXIf', 'tIME', 'caBX']);

/** The PNG `file` with `texts` after its header in place of all that described it. Its pixels stay as they are compressed. Throws `picture_damaged`. */
export function replacePngTexts(file: Buffer, texts: readonly PngText[]): Uint8Array {
  const kept = [...pngChunks(file)].filter(({ type }) => !describing.has(type)).map(({ bytes }) => bytes);
  const [header, ...rest] = kept;
  if (header === undefined) throw damagedPng('it has no header');
  return Buffer.concat([PNG_SIGNATURE, header, ...texts.flatMap(textChunk), ...rest]);
}
