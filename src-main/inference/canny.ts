import type { RgbImage } from '#main/lib/rgb-image.ts';

/** Gradients above the first begin an edge, and above the second continue one. */
const [STRONG, WEAK] = [200, 100];
const [NONE, MAYBE, EDGE] = [0, 1, 2];
const TANGENT_22_5 = Math.SQRT2 - 1;

/**
 * Edges in white on black: Sobel gradients of the channel that changes most, thinned along their direction, with hysteresis. As OpenCV's `Canny` with
 * thresholds 100 and 200, which ControlNets are trained with. Source: J. Canny, "A Computational Approach to Edge Detection", 1986.
 */
export function canny({ width, height, data }: RgbImage): RgbImage {
  const across = new Int32Array(width * height);
  const down = new Int32Array(width * height);
  const at = (x: number, y: number, channel: number): number =>
    data[(Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) * 3 + channel] ?? 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const pixel = (dx: number, dy: number): number => at(x + dx, y + dy, channel);
        const gx = pixel(1, -1) + 2 * pixel(1, 0) + pixel(1, 1) - pixel(-1, -1) - 2 * pixel(-1, 0) - pixel(-1, 1);
        const gy = pixel(-1, 1) + 2 * pixel(0, 1) + pixel(1, 1) - pixel(-1, -1) - 2 * pixel(0, -1) - pixel(1, -1);
        const i = y * width + x;
        if (Math.abs(gx) + Math.abs(gy) <= Math.abs(across[i] ?? 0) + Math.abs(down[i] ?? 0)) continue;
        across[i] = gx;
        down[i] = gy;
      }
    }
  }
  const marks = thinned(across, down, width, height);
  connect(marks, width, height);
  const out = new Uint8Array(width * height * 3);
  for (const [i, mark] of marks.entries()) if (mark === EDGE) out.fill(255, 3 * i, 3 * i + 3);
  return { width, height, data: out };
}

/** EDGE and MAYBE where the gradient is larger than that of both neighbours in its direction. */
function thinned(across: Int32Array, down: Int32Array, width: number, height: number): Uint8Array {
  const size = (x: number, y: number): number => {
    if (x < 0 || y < 0 || x >= width || y >= height) return 0;
    return Math.abs(across[y * width + x] ?? 0) + Math.abs(down[y * width + x] ?? 0);
  };
  const marks = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const here = size(x, y);
      if (here <= WEAK) continue;
      const [gx, gy] = [across[i] ?? 0, down[i] ?? 0];
      const isFlat = Math.abs(gy) < TANGENT_22_5 * Math.abs(gx);
      const isSteep = Math.abs(gx) < TANGENT_22_5 * Math.abs(gy);
      const [dx, dy] = isFlat ? [1, 0] : isSteep ? [0, 1] : gx > 0 === gy > 0 ? [1, 1] : [-1, 1];
      // of two equal neighbours one is the edge
      const isPeak =
        isFlat || isSteep ? here > size(x - dx, y - dy) && here >= size(x + dx, y + dy) : here > size(x - dx, y - dy) && here > size(x + dx, y + dy);
      if (isPeak) marks[i] = here > STRONG ? EDGE : MAYBE;
    }
  }
  return marks;
}

/** Makes edges of what may be one and touches one. */
function connect(marks: Uint8Array, width: number, height: number): void {
  const open = [...marks.keys()].filter((i) => marks[i] === EDGE);
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    const [x, y] = [i % width, Math.floor(i / width)];
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const other = i + dy * width + dx;
        if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height || marks[other] !== MAYBE) continue;
        marks[other] = EDGE;
        open.push(other);
      }
    }
  }
  for (const [i, mark] of marks.entries()) if (mark !== EDGE) marks[i] = NONE;
}
