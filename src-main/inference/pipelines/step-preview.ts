import type { RgbImage } from '#main/lib/rgb-image.ts';
import { createLatentPreview } from '../latent-preview.ts';

interface Size {
  width: number;
  height: number;
}

/** What the image would be if the last forward were right to the end: one pixel a latent pixel. Latents are [channels, height, width]. */
export interface StepPreview {
  /** Whether a preview costs no more than the decoding of a small part. */
  isCheap(): boolean;
  render(latents: Float32Array, size: Size): Promise<RgbImage>;
  /** Fits the previews to come to what was decoded. */
  fit(latents: Float32Array, planes: Float32Array, size: Size): void;
}

export interface StepPreviewOptions {
  channels: number;
  /** Image pixels a latent pixel. */
  scale: number;
  decode(latents: Float32Array, size: Size): Promise<Float32Array>;
  /** Whether `decode` finds its graph loaded, and leaves the others where they are. */
  keepsDecoder(): boolean;
}

/** Side of the part that is decoded to fit a preview of the first image: small beside one step of the denoiser, and large enough for the fit. */
const FIRST_SAMPLE_SIDE = 32;

export function createStepPreview({ channels, scale, decode, keepsDecoder }: StepPreviewOptions): StepPreview {
  const preview = createLatentPreview(channels, scale);
  /** Whether the preview was fitted to a finished image; until then each preview decodes a part of its own latents. */
  let hasDecoded = false;
  return {
    // loading the VAE just for a first preview is too slow; the finished image fits the map
    isCheap: () => hasDecoded || keepsDecoder(),
    async render(latents, { width, height }) {
      if (!hasDecoded) {
        // what the early steps lead to is blurred, so a fit to it does not last
        const part = middleOf(latents, channels, height, width);
        preview.fit(part.latents, await decode(part.latents, part), part.height, part.width);
      }
      return preview.render(latents, height, width);
    },
    fit(latents, planes, { width, height }) {
      preview.fit(latents, planes, height, width);
      hasDecoded = true;
    },
  };
}

/** At most FIRST_SAMPLE_SIDE squared latent pixels out of the middle of latents [channels, height, width]. */
function middleOf(latents: Float32Array, channels: number, height: number, width: number): { latents: Float32Array; height: number; width: number } {
  const rows = Math.min(height, FIRST_SAMPLE_SIDE);
  const columns = Math.min(width, FIRST_SAMPLE_SIDE);
  // even, so that the part begins where a patch does
  const [top, left] = [((height - rows) >> 2) * 2, ((width - columns) >> 2) * 2];
  const part = new Float32Array(channels * rows * columns);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < rows; y++) {
      const from = (channel * height + top + y) * width + left;
      part.set(latents.subarray(from, from + columns), (channel * rows + y) * columns);
    }
  }
  return { latents: part, height: rows, width: columns };
}
