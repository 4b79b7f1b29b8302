import type { CompiledUpscaler, ConvolutionNetwork } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { hasConvolutionKernels, loadConvolutions } from '../convolutions/convolution-session.ts';
import { createSession } from '../ort.ts';
import { pixelsFromPlanes } from '../pixels.ts';
import { assertFinite, assertNotFlat, isFlat } from '../validate-latents.ts';
import type { PipelineHooks } from './hooks.ts';
import type { LoadOptions, OnLoadProgress } from './load-parts.ts';
import { LARGEST_TILE_PIXELS, planTiles, type Tile } from './tiles.ts';

/** A tile's bytes in our own convolutions, all layers' images together. */
const LARGEST_TILE_BYTES = 2 ** 30;

export interface UpscaleOptions {
  /** Input pixels that a tile keeps at most; `largestTilePixels` without it. */
  tilePixels?: number;
  /** How much larger the sides become: the network's own scale, which is the default, or half of it, the mean of 2 x 2 pixels. */
  scale?: number;
}

export interface UpscalePipeline {
  /** More input pixels than these make a tile no faster. */
  readonly largestTilePixels: number;
  /** The image with larger sides, made in overlapping tiles; alpha by the same network, as grey. Throws `cancelled`, `picture_not_finite`, `picture_flat`, `engine_out_of_memory`, `engine_failed`. */
  upscale(image: RgbImage, hooks: PipelineHooks, signal: CancelSignal, options?: UpscaleOptions): Promise<RgbImage>;
  release(): Promise<void>;
}

/** On the CPU with our own convolutions where the graphs are not exact and the runtime has the instructions, else through ONNX Runtime. */
export async function loadUpscaler(compiled: CompiledUpscaler, options: LoadOptions, onProgress: OnLoadProgress): Promise<UpscalePipeline> {
  const { convolutions } = compiled;
  const network =
    convolutions !== null && hasConvolutionKernels() ? await convolutionNetwork(convolutions, options.threads) : await graphNetwork(compiled, options);
  onProgress(1, 1);
  return {
    largestTilePixels: network.largestTilePixels,
    upscale: async (image, hooks, signal, { tilePixels = network.largestTilePixels, scale = compiled.scale } = {}) => {
      const alpha = image.alpha ?? null;
      // an alpha of one value has no edges to upscale
      const layers = alpha === null || isConstant(alpha) ? [image] : [image, grayImage(image, alpha)];
      const tiles = planTiles(image.width, image.height, compiled.overlapPx, tilePixels);
      const total = layers.length * tiles.length;
      hooks.onProgress('upscaling', 0, total);
      const results: RgbImage[] = [];
      for (const [at, layer] of layers.entries()) {
        const out: RgbImage = { width: image.width * scale, height: image.height * scale, data: new Uint8Array(layer.data.length * scale * scale) };
        for (const [i, tile] of tiles.entries()) {
          assertNotCancelled(signal);
          writeTile(out, await network.run(layer, tile, signal), tile, compiled.scale, scale);
          hooks.onProgress('upscaling', at * tiles.length + i + 1, total);
        }
        results.push(out);
      }
      assertNotCancelled(signal);
      const [out, gray] = results as [RgbImage, RgbImage?];
      if (!isFlat(image)) assertNotFlat(out);
      if (alpha === null) return out;
      const pixels = out.width * out.height;
      return { ...out, alpha: gray ? new Uint8Array(pixels).map((_, i) => gray.data[3 * i] ?? 0) : new Uint8Array(pixels).fill(alpha[0] ?? 255) };
    },
    release: () => network.release(),
  };
}

/** Upscales one tile. */
interface Network {
  readonly largestTilePixels: number;
  /** Pixels [scale * height, scale * width, 3] of a tile with its overlap; valid until the next run. Throws `picture_not_finite` and what a run throws. */
  run(image: RgbImage, tile: Tile, signal: CancelSignal): Promise<Uint8Array>;
  release(): Promise<void>;
}

async function graphNetwork(compiled: CompiledUpscaler, options: LoadOptions): Promise<Network> {
  const session = await createSession(compiled.graph, options);
  return {
    largestTilePixels: LARGEST_TILE_PIXELS,
    run: async (image, { from }, signal) => {
      const pixels = from.width * from.height;
      const planes = new Float32Array(3 * pixels);
      for (let y = 0; y < from.height; y++) {
        for (let x = 0; x < from.width; x++) {
          const source = ((from.top + y) * image.width + from.left + x) * 3;
          for (let channel = 0; channel < 3; channel++) planes[channel * pixels + y * from.width + x] = (image.data[source + channel] ?? 0) / 255;
        }
      }
      const { upscaled } = await session.run({ image: { data: planes, shape: [1, 3, from.height, from.width] } }, signal);
      assertFinite(upscaled as Float32Array);
      return pixelsFromPlanes(upscaled as Float32Array, 255, 0);
    },
    release: () => session.release(),
  };
}

async function convolutionNetwork(convolutions: ConvolutionNetwork, threads: number): Promise<Network> {
  const session = await loadConvolutions(convolutions, threads);
  return {
    largestTilePixels: Math.min(2 * LARGEST_TILE_PIXELS, Math.floor((LARGEST_TILE_BYTES * 256 * 256) / session.bytesFor(256, 256))),
    run: async (image, { from }, signal) => {
      const fill = (row: Float32Array, y: number): void => {
        let source = ((from.top + y) * image.width + from.left) * 3;
        for (let x = 0; x < from.width; x++) {
          for (let channel = 0; channel < 3; channel++) row[4 * x + channel] = (image.data[source++] ?? 0) / 255;
          row[4 * x + 3] = 0;
        }
      };
      const { planes, pixels } = await session.run(from.width, from.height, fill, signal);
      assertFinite(planes);
      return pixels;
    },
    release: () => session.release(),
  };
}

/** Puts what the tile is responsible for into the image; the overlap around it is dropped. `pixels` are `made` times as large as the tile, the image `wanted` times. */
function writeTile(out: RgbImage, pixels: Uint8Array, { from, keep }: Tile, made: number, wanted: number): void {
  const left = (keep.left - from.left) * made;
  const top = (keep.top - from.top) * made;
  const stride = from.width * made * 3;
  const ratio = made / wanted;
  for (let y = 0; y < keep.height * wanted; y++) {
    const start = (top + y * ratio) * stride + left * 3;
    const target = ((keep.top * wanted + y) * out.width + keep.left * wanted) * 3;
    if (ratio === 1) out.data.set(pixels.subarray(start, start + keep.width * made * 3), target);
    else meanRow(pixels.subarray(start), stride, ratio, out.data.subarray(target, target + keep.width * wanted * 3));
  }
}

/** Each pixel of `row` as the mean of `ratio` x `ratio` pixels. */
function meanRow(pixels: Uint8Array, stride: number, ratio: number, row: Uint8Array): void {
  for (let i = 0; i < row.length; i++) {
    const corner = Math.floor(i / 3) * ratio * 3 + (i % 3);
    let sum = 0;
    for (let y = 0; y < ratio; y++) for (let x = 0; x < ratio; x++) sum += pixels[corner + y * stride + 3 * x] ?? 0;
    row[i] = Math.round(sum / ratio ** 2);
  }
}

function isConstant(values: Uint8Array): boolean {
  return values.every((value) => value === values[0]);
}

function grayImage({ width, height }: RgbImage, plane: Uint8Array): RgbImage {
  const data = new Uint8Array(3 * plane.length);
  for (let i = 0; i < data.length; i++) data[i] = plane[Math.floor(i / 3)] ?? 0;
  return { width, height, data };
}
