import type { PngText } from '#main/lib/png.ts';
import type { PictureHeader } from './image-header.ts';

/** What the server's thread asks of the picture thread, and what it hears. */

export type PictureOrder =
  /** Write a JPEG of `width` pixels of the PNG at `from` to the new file `to`. */
  | { type: 'shrink'; from: string; to: string; width: number }
  /** Read what a picture file tells of itself. */
  | { type: 'describe'; bytes: Uint8Array };

export interface PictureDescription extends PictureHeader {
  /** Of a PNG; none of other formats. */
  texts: PngText[];
}
