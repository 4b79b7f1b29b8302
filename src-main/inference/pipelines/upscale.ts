import type { CompiledUpscaler } from '#main/lib/compiled.ts';
import type { Picture } from '#main/lib/picture.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { createSession } from '../ort.ts';
import type { Session } from '../session.ts';
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

export async function loadUpscaler(compiled: CompiledUpscaler, options: LoadOptions, onProgress: OnLoadProgress): Promise<UpscalePipeline> {
  const session = await createSession(compiled.graph, options);
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
        writeTile(out, await upscaleTile(session, picture, tile, signal), tile, scale);
        hooks.onProgress('upscaling', i + 1, tiles.length);
      }
      assertNotCancelled(signal);
      assertNotFlat(out);
      return out;
    },
    release: () => session.release(),
  };
}

/** Planes [3, scale * height, scale * width] of a tile with its overlap, 0 to 1. */
async function upscaleTile(session: Session, picture: Picture, { from }: Tile, signal: CancelSignal): Promise<Float32Array> {
  const pixels = from.width * from.height;
  const planes = new Float32Array(3 * pixels);
  for (let y = 0; y < from.height; y++) {
    for (let x = 0; x < from.width; x++) {
      const source = ((from.top + y) * picture.width + from.left + x) * 3;
      for (let channel = 0; channel < 3; channel++) planes[channel * pixels + y * from.width + x] = (picture.data[source + channel] ?? 0) / 255;
    }
  }
  const { upscaled } = await session.run({ picture: { data: planes, shape: [1, 3, from.height, from.width] } }, signal);
  assertFinite(upscaled as Float32Array);
  return upscaled as Float32Array;
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
