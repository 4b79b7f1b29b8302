/** A picture in memory: RGB, 8 bits a channel, row-major [height, width, 3]. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8Array<ArrayBuffer>;
}
