import type { CompiledZImage } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { CancelSignal } from '../cancel.ts';
import { patchify } from '../patches.ts';
import { torchRandn } from '../rng.ts';
import type { Canvas } from './canvas.ts';
import type { Models } from './models.ts';

const [SMALLEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE] = [-30, 20];
const REPAINTED = 128;

/**
 * What denoising starts from where there is a source; all of it patched, [tokens, patch width]. Reference: diffusers 0.42.1,
 * `pipelines/z_image/pipeline_z_image_img2img.py` and `pipeline_z_image_inpaint.py`.
 */
export interface ImageLatents {
  /** Latents at the noise level `sigma`. */
  at(sigma: number): Float32Array;
  /** `latents` at the noise level `sigma` where the mask repaints, the latents of the source elsewhere. */
  keepUnmasked(latents: Float32Array, sigma: number): Float32Array;
}

/** Encodes the canvas. The seed's first draw is the noise of the VAE's posterior, the second that of the latents. */
export async function encodeImage(
  compiled: CompiledZImage,
  models: Models,
  { image, mask }: Pick<Canvas, 'image' | 'mask'>,
  seed: number,
  samplesMask: boolean,
  signal: CancelSignal,
): Promise<ImageLatents> {
  const { latentChannels: channels, vaeScale, patchSize, vaeScalingFactor, vaeShiftFactor } = compiled;
  const [width, height] = [image.width / vaeScale, image.height / vaeScale];
  const moments = await models.encodeImage(planesOf(image), width, height, signal);
  const count = channels * height * width;
  const draws = torchRandn(seed, 2 * count);
  const latents = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const logVariance = Math.min(LARGEST_LOG_VARIANCE, Math.max(SMALLEST_LOG_VARIANCE, moments[count + i] ?? 0));
    const sample = Math.fround((moments[i] ?? 0) + Math.fround(Math.exp(0.5 * logVariance)) * (draws[i] ?? 0));
    latents[i] = Math.fround(sample - vaeShiftFactor) * vaeScalingFactor;
  }
  const tokens = (values: Float32Array): Float32Array => patchify(values, channels, height, width, patchSize);
  const [source, noise] = [tokens(latents), tokens(draws.subarray(count))];
  const repainted = mask === null ? null : tokens(repeat(latentMask(mask.data, width, height, vaeScale, samplesMask), channels));

  const at = (sigma: number): Float32Array => noise.map((value, i) => Math.fround(sigma * value) + Math.fround((1 - sigma) * (source[i] ?? 0)));
  return {
    at,
    keepUnmasked: (values, sigma) => (repainted === null ? values : at(sigma).map((kept, i) => (repainted[i] === 1 ? (values[i] ?? 0) : kept))),
  };
}

/** RGB as planes [3, height, width] from -1 to 1. */
export function planesOf({ width, height, data }: RgbImage): Float32Array {
  const pixels = width * height;
  const planes = new Float32Array(3 * pixels);
  for (let i = 0; i < planes.length; i++) planes[(i % 3) * pixels + Math.floor(i / 3)] = (data[i] ?? 0) / 127.5 - 1;
  return planes;
}

/** 1 for each latent pixel [height, width] that is repainted: where its first pixel is, if `samples`, else where any of its pixels is. */
export function latentMask(mask: Uint8Array, width: number, height: number, scale: number, samples: boolean): Float32Array {
  const out = new Float32Array(height * width);
  const reach = samples ? 1 : scale;
  for (let at = 0; at < out.length; at++) {
    const corner = Math.floor(at / width) * scale * width * scale + (at % width) * scale;
    for (let y = 0; y < reach; y++) {
      for (let x = 0; x < reach; x++) if ((mask[corner + y * width * scale + x] ?? 0) >= REPAINTED) out[at] = 1;
    }
  }
  return out;
}

function repeat(values: Float32Array, times: number): Float32Array {
  const out = new Float32Array(values.length * times);
  for (let i = 0; i < times; i++) out.set(values, i * values.length);
  return out;
}
