import type { CompiledUpscaler, ConvolutionNetwork } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { hasConvolutionKernels, loadConvolutions } from '../convolutions/convolution-session.ts';
import { createSession } from '../ort.ts';
import { pixelsFromPlanes } from '../pixels.ts';
import { assertFinite, assertNotFlat } from '../validate-latents.ts';
import type { PipelineHooks } from './hooks.ts';
import type { LoadOptions, OnLoadProgress } from './models.ts';
import { LARGEST_TILE_PIXELS, planTiles, type Tile } from './tiles.ts';

/** A tile's bytes in our own convolutions, all layers' images together. */
const LARGEST_TILE_BYTES = 2 ** 30;

export interface UpscaleOptions {
  /** Input pixels that a tile keeps at most; `largestTilePixels` without it. */
  tilePixels?: number;
}

export interface UpscalePipeline {
  /** More input pixels than these make a tile no faster. */
  readonly largestTilePixels: number;
  /** An image of 4 times the sides, made in overlapping tiles. Throws `cancelled`, `picture_not_finite`, `picture_flat`, `engine_out_of_memory`, `engine_failed`. */
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
    upscale: async (image, hooks, signal, { tilePixels = network.largestTilePixels } = {}) => {
      const { scale } = compiled;
      const out: RgbImage = {
        width: image.width * scale,
        height: image.height * scale,
        data: new Uint8Array(image.data.length * scale * scale),
      };
      const tiles = planTiles(image.width, image.height, compiled.overlapPx, tilePixels);
      hooks.onProgress('upscaling', 0, tiles.length);
      for (const [i, tile] of tiles.entries()) {
        assertNotCancelled(signal);
        writeTile(out, await network.run(image, tile, signal), tile, scale);
        hooks.onProgress('upscaling', i + 1, tiles.length);
      }
      assertNotCancelled(signal);
      assertNotFlat(out);
      return out;
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

/** Puts what the tile is responsible for into the image; the overlap around it is dropped. */
function writeTile(out: RgbImage, pixels: Uint8Array, { from, keep }: Tile, scale: number): void {
  const left = (keep.left - from.left) * scale;
  const top = (keep.top - from.top) * scale;
  for (let y = 0; y < keep.height * scale; y++) {
    const start = ((top + y) * from.width * scale + left) * 3;
    out.data.set(pixels.subarray(start, start + keep.width * scale * 3), ((keep.top * scale + y) * out.width + keep.left * scale) * 3);
  }
}
