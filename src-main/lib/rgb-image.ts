/** An image in memory: RGB, 8 bits per channel, row-major [height, width, 3]. */
export interface RgbImage {
  width: number;
  height: number;
  data: Uint8Array<ArrayBuffer>;
  /** Opacity [height, width], where the image has any transparency. */
  alpha?: Uint8Array<ArrayBuffer>;
}
