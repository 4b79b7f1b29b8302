import type { RgbImage } from '#main/lib/rgb-image.ts';

/** Latent pixels that one fit samples at most, evenly spaced. */
const SAMPLE_PIXELS = 1024;
/** Weight that older samples keep when a new one is added. */
const KEPT_WEIGHT = 0.5;
/** Added to the diagonal, relative to its mean, so that one flat image does not make the equations singular. */
const RIDGE = 1e-4;

/**
 * Latents to RGB by a linear map, one latent pixel to one image pixel, fitted by least squares to what the VAE itself decodes.
 * The map is refitted with every image that is decoded anyway; the newest has the most weight.
 */
export interface LatentPreview {
  /** `latents` [channels, height, width] and what they decode to, `planes` [3, scale * height, scale * width] of about -1 to 1. */
  fit(latents: Float32Array, planes: Float32Array, height: number, width: number): void;
  /** Latents [channels, height, width] as an image of height * width pixels. Only once it is fitted. */
  render(latents: Float32Array, height: number, width: number): RgbImage;
}

export function createLatentPreview(channels: number, scale: number): LatentPreview {
  const terms = channels + 1; // the last one is the constant
  const moments = new Float64Array(terms * terms);
  const targets = new Float64Array(terms * 3);
  let map: Float64Array | null = null; // [terms, 3], of 0 to 255

  function fit(latents: Float32Array, planes: Float32Array, height: number, width: number): void {
    const pixels = height * width;
    const stride = Math.max(1, Math.ceil(pixels / SAMPLE_PIXELS));
    const weight = stride / pixels; // every sample weighs 1, whatever its size
    for (let i = 0; i < moments.length; i++) moments[i] = (moments[i] ?? 0) * KEPT_WEIGHT;
    for (let i = 0; i < targets.length; i++) targets[i] = (targets[i] ?? 0) * KEPT_WEIGHT;
    const row = new Float64Array(terms).fill(1);
    for (let pixel = 0; pixel < pixels; pixel += stride) {
      for (let channel = 0; channel < channels; channel++) row[channel] = latents[channel * pixels + pixel] ?? 0;
      const [y, x] = [Math.floor(pixel / width), pixel % width];
      for (let color = 0; color < 3; color++) {
        const value = weight * blockMean(planes, color, y, x, height, width, scale);
        for (let i = 0; i < terms; i++) targets[i * 3 + color] = (targets[i * 3 + color] ?? 0) + (row[i] ?? 0) * value;
      }
      for (let i = 0; i < terms; i++) {
        const factor = weight * (row[i] ?? 0);
        for (let k = 0; k < terms; k++) moments[i * terms + k] = (moments[i * terms + k] ?? 0) + factor * (row[k] ?? 0);
      }
    }
    map = solve(moments, targets, terms);
  }

  function render(latents: Float32Array, height: number, width: number): RgbImage {
    if (map === null) throw new Error('The preview has seen no decoded image yet.');
    const pixels = height * width;
    const data = new Uint8ClampedArray(pixels * 3); // rounds and clamps
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let color = 0; color < 3; color++) {
        let value = map[channels * 3 + color] ?? 0;
        for (let channel = 0; channel < channels; channel++) value += (latents[channel * pixels + pixel] ?? 0) * (map[channel * 3 + color] ?? 0);
        data[pixel * 3 + color] = value;
      }
    }
    return { width, height, data: new Uint8Array(data.buffer) };
  }

  return { fit, render };
}

/** Mean of the block of scale * scale image pixels that a latent pixel stands for, as 0 to 255. */
function blockMean(planes: Float32Array, color: number, y: number, x: number, height: number, width: number, scale: number): number {
  const rowLength = width * scale;
  const corner = (color * height * scale + y * scale) * rowLength + x * scale;
  let sum = 0;
  for (let dy = 0; dy < scale; dy++) {
    for (let dx = 0; dx < scale; dx++) sum += Math.min(1, Math.max(-1, planes[corner + dy * rowLength + dx] ?? 0));
  }
  return (sum / (scale * scale) / 2 + 0.5) * 255;
}

/** The weights [terms, 3] of the least squares fit: (moments + ridge) * weights = targets, by Cholesky's factors. */
function solve(moments: Float64Array, targets: Float64Array, terms: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < terms; i++) trace += moments[i * terms + i] ?? 0;
  const ridge = (RIDGE * trace) / terms;

  const factor = new Float64Array(terms * terms); // lower triangle
  const at = (i: number, k: number) => factor[i * terms + k] ?? 0;
  for (let i = 0; i < terms; i++) {
    for (let k = 0; k <= i; k++) {
      let value = (moments[i * terms + k] ?? 0) + (i === k ? ridge : 0);
      for (let j = 0; j < k; j++) value -= at(i, j) * at(k, j);
      factor[i * terms + k] = i === k ? Math.sqrt(value) : value / at(k, k);
    }
  }
  const weights = targets.slice();
  for (let color = 0; color < 3; color++) {
    const get = (i: number) => weights[i * 3 + color] ?? 0;
    for (let i = 0; i < terms; i++) {
      let value = get(i);
      for (let k = 0; k < i; k++) value -= at(i, k) * get(k);
      weights[i * 3 + color] = value / at(i, i);
    }
    for (let i = terms - 1; i >= 0; i--) {
      let value = get(i);
      for (let k = i + 1; k < terms; k++) value -= at(k, i) * get(k);
      weights[i * 3 + color] = value / at(i, i);
    }
  }
  return weights;
}
