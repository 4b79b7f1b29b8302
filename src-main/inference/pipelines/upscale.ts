import type { CompiledUpscaler, ConvolutionNetwork } from '#main/lib/compiled.ts';
import type { Picture } from '#main/lib/picture.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { hasConvolutionKernels, loadConvolutions } from '../convolutions/convolution-session.ts';
import { createSession } from '../ort.ts';
import { assertFinite, assertNotFlat } from '../watchdog.ts';
import type { PipelineHooks } from './hooks.ts';
import type { LoadOptions, OnLoadProgress } from './models.ts';
import { LARGEST_TILE_PIXELS, planTiles, type Tile } from './tiles.ts';

export interface UpscaleOptions {
  /** Input pixels that a tile keeps at most; `LARGEST_TILE_PIXELS` without it. */
  tilePixels?: number;
}

export interface UpscalePipeline {
  /** A picture of 4 times the sides, made in overlapping tiles. Throws `cancelled`, `picture_not_finite`, `picture_flat`, `engine_out_of_memory`, `engine_failed`. */
  upscale(picture: Picture, hooks: PipelineHooks, signal: CancelSignal, options?: UpscaleOptions): Promise<Picture>;
  release(): Promise<void>;
}

/** On the CPU with our own convolutions where the graphs are not exact and the runtime has the instructions, else through ONNX Runtime. */
export async function loadUpscaler(compiled: CompiledUpscaler, options: LoadOptions, onProgress: OnLoadProgress): Promise<UpscalePipeline> {
  const { convolutions } = compiled;
  const network =
    convolutions !== null && hasConvolutionKernels() ? await convolutionNetwork(convolutions, options.threads) : await graphNetwork(compiled, options);
  onProgress(1, 1);
  return {
    upscale: async (picture, hooks, signal, { tilePixels = LARGEST_TILE_PIXELS } = {}) => {
      const { scale } = compiled;
      const out: Picture = {
        width: picture.width * scale,
        height: picture.height * scale,
        data: new Uint8Array(picture.data.length * scale * scale),
      };
      const tiles = planTiles(picture.width, picture.height, compiled.overlapPx, tilePixels);
      hooks.onProgress('upscaling', 0, tiles.length);
      for (const [i, tile] of tiles.entries()) {
        assertNotCancelled(signal);
        const planes = await network.run(picture, tile, signal);
        assertFinite(planes);
        writeTile(out, planes, tile, scale);
        hooks.onProgress('upscaling', i + 1, tiles.length);
      }
      assertNotCancelled(signal);
      assertNotFlat(out);
      return out;
    },
    release: () => network.release(),
  };
}

/** What enlarges one tile. */
interface Network {
  /** Planes [3, scale * height, scale * width] of a tile with its overlap, 0 to 1; valid until the next run. */
  run(picture: Picture, tile: Tile, signal: CancelSignal): Promise<Float32Array>;
  release(): Promise<void>;
}

async function graphNetwork(compiled: CompiledUpscaler, options: LoadOptions): Promise<Network> {
  const session = await createSession(compiled.graph, options);
  return {
    run: async (picture, { from }, signal) => {
      const pixels = from.width * from.height;
      const planes = new Float32Array(3 * pixels);
      for (let y = 0; y < from.height; y++) {
        for (let x = 0; x < from.width; x++) {
          const source = ((from.top + y) * picture.width + from.left + x) * 3;
          for (let channel = 0; channel < 3; channel++) planes[channel * pixels + y * from.width + x] = (picture.data[source + channel] ?? 0) / 255;
        }
      }
      const { upscaled } = await session.run({ picture: { data: planes, shape: [1, 3, from.height, from.width] } }, signal);
      return upscaled as Float32Array;
    },
    release: () => session.release(),
  };
}

async function convolutionNetwork(convolutions: ConvolutionNetwork, threads: number): Promise<Network> {
  const session = await loadConvolutions(convolutions, threads);
  return {
    run: (picture, { from }, signal) => {
      const fill = (row: Float32Array, y: number): void => {
        let source = ((from.top + y) * picture.width + from.left) * 3;
        for (let x = 0; x < from.width; x++) {
          for (let channel = 0; channel < 3; channel++) row[4 * x + channel] = (picture.data[source++] ?? 0) / 255;
        }
      };
      return session.run(from.width, from.height, fill, signal);
    },
    release: () => session.release(),
  };
}

/** Puts what the tile is responsible for into the picture; the overlap around it is dropped. */
function writeTile(out: Picture, planes: Float32Array, { from, keep }: Tile, scale: number): void {
  const rowLength = from.width * scale;
  const plane = rowLength * from.height * scale;
  const left = (keep.left - from.left) * scale;
  const top = (keep.top - from.top) * scale;
  for (let y = 0; y < keep.height * scale; y++) {
    let target = ((keep.top * scale + y) * out.width + keep.left * scale) * 3;
    let source = (top + y) * rowLength + left;
    for (let x = 0; x < keep.width * scale; x++, source++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = (planes[channel * plane + source] ?? 0) * 255;
        out.data[target++] = value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
      }
    }
  }
}
