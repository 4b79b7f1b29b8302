/** Lanczos with three lobes, as wide as the larger of a source and a target pixel. */
const LOBES = 3;

/** What one target pixel takes of the source along one axis. */
interface Taps {
  first: number;
  weights: Float64Array;
}

/** Pixels [height, width, channels] at another size by Lanczos, which averages where it shrinks. Equal sizes give the same pixels. */
export function resize(
  data: Uint8Array<ArrayBuffer>,
  from: { width: number; height: number },
  to: { width: number; height: number },
  channels: number,
): Uint8Array<ArrayBuffer> {
  if (from.width === to.width && from.height === to.height) return data;
  const columns = tapsOf(from.width, to.width);
  const rows = tapsOf(from.height, to.height);
  const lineLength = to.width * channels;
  /** Source rows, resized along the width; only those that the current target row needs. */
  const lines = new Map<number, Float32Array>();
  const lineOf = (y: number): Float32Array => {
    const known = lines.get(y);
    if (known) return known;
    const line = new Float32Array(lineLength);
    for (const [x, { first, weights }] of columns.entries()) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += (weights[i] ?? 0) * (data[(y * from.width + first + i) * channels + channel] ?? 0);
        line[x * channels + channel] = sum;
      }
    }
    lines.set(y, line);
    return line;
  };

  const out = new Uint8ClampedArray(lineLength * to.height); // rounds and clamps
  const sums = new Float64Array(lineLength);
  for (const [y, { first, weights }] of rows.entries()) {
    for (const kept of lines.keys()) if (kept < first) lines.delete(kept);
    sums.fill(0);
    for (let i = 0; i < weights.length; i++) {
      const line = lineOf(first + i);
      const weight = weights[i] ?? 0;
      for (let x = 0; x < lineLength; x++) sums[x] = (sums[x] ?? 0) + weight * (line[x] ?? 0);
    }
    out.set(sums, y * lineLength);
  }
  return new Uint8Array(out.buffer);
}

function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const width = Math.max(1, scale);
  return Array.from({ length: to }, (_, at) => {
    const center = (at + 0.5) * scale - 0.5;
    const first = Math.max(0, Math.ceil(center - LOBES * width));
    const last = Math.min(from - 1, Math.floor(center + LOBES * width));
    const weights = Float64Array.from({ length: last - first + 1 }, (__, i) => lanczos((first + i - center) / width));
    const total = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (LOBES * Math.sin(angle) * Math.sin(angle / LOBES)) / (angle * angle);
}
