import type { RgbImage } from '#main/lib/rgb-image.ts';

const LOBES = 3;
/** Weights are integers in these many bits. */
const WEIGHT_BITS = 22;

/** What one target pixel takes of the source along one axis. */
interface Taps {
  first: number;
  weights: Int32Array;
}

/**
 * The image at another size, to the byte as Pillow's `Image.resize` with `LANCZOS`: first all rows, rounded to bytes, then all columns, with integer weights.
 * Source: https://github.com/python-pillow/Pillow, `src/libImaging/Resample.c`.
 */
export function resizeAsPillow(image: RgbImage, width: number, height: number): RgbImage {
  const columns = tapsOf(image.width, width);
  const wide = new Uint8ClampedArray(image.height * width * 3);
  for (let y = 0; y < image.height; y++) {
    for (const [x, taps] of columns.entries()) {
      for (let channel = 0; channel < 3; channel++) {
        wide[(y * width + x) * 3 + channel] = weighted(image.data, (y * image.width + taps.first) * 3 + channel, 3, taps);
      }
    }
  }
  const data = new Uint8ClampedArray(height * width * 3);
  for (const [y, taps] of tapsOf(image.height, height).entries()) {
    for (let at = 0; at < width * 3; at++) data[y * width * 3 + at] = weighted(wide, taps.first * width * 3 + at, width * 3, taps);
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

function weighted(values: Uint8Array | Uint8ClampedArray, from: number, stride: number, { weights }: Taps): number {
  let sum = 2 ** (WEIGHT_BITS - 1);
  for (let i = 0; i < weights.length; i++) sum += (weights[i] as number) * (values[from + i * stride] as number);
  return Math.floor(sum / 2 ** WEIGHT_BITS);
}

function tapsOf(from: number, to: number): Taps[] {
  const ratio = from / to;
  const scale = Math.max(ratio, 1);
  return Array.from({ length: to }, (_, at) => {
    const center = (at + 0.5) * ratio;
    const first = Math.max(0, Math.trunc(center - LOBES * scale + 0.5));
    const end = Math.min(from, Math.trunc(center + LOBES * scale + 0.5));
    const weights = Array.from({ length: end - first }, (__, i) => lanczos((first + i - center + 0.5) / scale));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: Int32Array.from(weights, (weight) => halfAwayFromZero((weight / total) * 2 ** WEIGHT_BITS)) };
  });
}

function halfAwayFromZero(value: number): number {
  return value < 0 ? Math.trunc(value - 0.5) : Math.trunc(value + 0.5);
}

function lanczos(x: number): number {
  return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
