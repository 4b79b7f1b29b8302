import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';

/** What a pipeline reports while it runs. Both may be called many times; neither may throw. */
export interface PipelineHooks {
  onProgress(stage: ProgressStage, done: number, total: number): void;
  /** What the image promises to be, one pixel a latent pixel, before the progress of each denoising step. */
  onPreview?(step: number, image: RgbImage): void;
  /** The latents before the first forward and after each, patched; `forward` counts from the schedule's start. */
  onLatents?(forward: number, latents: Float32Array): void;
}
