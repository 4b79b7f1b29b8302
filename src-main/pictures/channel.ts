import type { PngText } from '#main/lib/png.ts';
import type { WireError } from '#shared/protocol/errors.ts';
import type { PictureHeader } from './picture-header.ts';

/** What the server's thread and the picture thread say to each other; both are one process, so nothing is checked again. */

export type PictureOrder =
  /** Write a JPEG of `width` pixels of the PNG at `from` to the new file `to`. */
  | { id: number; type: 'shrink'; from: string; to: string; width: number }
  /** Read what a picture file tells of itself. */
  | { id: number; type: 'describe'; bytes: Uint8Array };

export interface PictureDescription extends PictureHeader {
  /** Of a PNG; none of other formats. */
  texts: PngText[];
}

export type PictureAnswer = { id: number; description: PictureDescription | null } | { id: number; error: WireError };
