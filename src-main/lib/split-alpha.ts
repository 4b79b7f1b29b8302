/** Splits pixels [height, width, 4] into colours [height, width, 3] and alpha [height, width]. An alpha of 255 everywhere is no alpha. */
export function splitAlpha(rgba: Uint8Array): { data: Uint8Array<ArrayBuffer>; alpha?: Uint8Array<ArrayBuffer> } {
  const pixels = rgba.length / 4;
  const data = new Uint8Array(pixels * 3);
  const alpha = new Uint8Array(pixels);
  let isOpaque = true;
  for (let i = 0; i < pixels; i++) {
    data[3 * i] = rgba[4 * i] ?? 0;
    data[3 * i + 1] = rgba[4 * i + 1] ?? 0;
    data[3 * i + 2] = rgba[4 * i + 2] ?? 0;
    alpha[i] = rgba[4 * i + 3] ?? 0;
    if (alpha[i] !== 255) isOpaque = false;
  }
  return isOpaque ? { data } : { data, alpha };
}
