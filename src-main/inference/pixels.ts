/** Planes [3, pixels] as bytes [pixels, 3]: `value * gain + offset`, rounded to the nearest whole number and cut to 0 to 255. */
export function pixelsFromPlanes(planes: Float32Array, gain: number, offset: number): Uint8Array<ArrayBuffer> {
  const pixels = planes.length / 3;
  const bytes = new Uint8ClampedArray(planes.length); // rounds and clamps
  let at = 0;
  for (let i = 0; i < pixels; i++) {
    bytes[at++] = (planes[i] ?? 0) * gain + offset;
    bytes[at++] = (planes[pixels + i] ?? 0) * gain + offset;
    bytes[at++] = (planes[2 * pixels + i] ?? 0) * gain + offset;
  }
  return new Uint8Array(bytes.buffer);
}
