import type { RgbImage } from '#main/lib/rgb-image.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** Latents start with a standard deviation of 1 and stay near it; outside of these nothing recognizable is left. */
const SMALLEST_DEVIATION = 1e-2;
const LARGEST_DEVIATION = 1e3;
/** An image whose brightest and darkest values are closer than this is one flat colour. */
const SMALLEST_RANGE = 3;

/** Throws `latents_not_finite` or `latents_collapsed` where no image can come of these latents. */
export function assertLatents(latents: Float32Array, step: number): void {
  let sum = 0;
  let squares = 0;
  // by index: iterators over typed arrays are slow
  for (let i = 0; i < latents.length; i++) {
    const value = latents[i] as number;
    sum += value;
    squares += value * value;
  }
  if (!Number.isFinite(squares)) {
    throw new AppError('latents_not_finite', `The model returned values that are no numbers at step ${step}. Try the accuracy "exact".`, { step });
  }
  const mean = sum / latents.length;
  const deviation = Math.sqrt(Math.max(0, squares / latents.length - mean * mean));
  if (deviation < SMALLEST_DEVIATION || deviation > LARGEST_DEVIATION) {
    throw new AppError(
      'latents_collapsed',
      `The model's latents have a spread of ${deviation.toPrecision(3)} at step ${step}; about 1 is healthy. Try the accuracy "exact".`,
      {
        step,
      },
    );
  }
}

/** Throws `picture_not_finite` where a decoded plane of floats holds something that is no number. */
export function assertFinite(values: Float32Array): void {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  if (!Number.isFinite(sum)) throw new AppError('picture_not_finite', 'The decoded image holds values that are no numbers. Try the accuracy "exact".', {});
}

/** Throws `picture_flat` where the image is a single colour. */
export function assertNotFlat(image: RgbImage): void {
  if (isFlat(image)) throw new AppError('picture_flat', 'The image came out as one flat colour. Try another seed, more steps or the accuracy "exact".', {});
}

/** Whether the image is a single colour. */
export function isFlat({ data }: RgbImage): boolean {
  for (let channel = 0; channel < 3; channel++) {
    let low = 255;
    let high = 0;
    for (let i = channel; i < data.length; i += 3) {
      const value = data[i] ?? 0;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (high - low >= SMALLEST_RANGE) return false;
  }
  return true;
}
