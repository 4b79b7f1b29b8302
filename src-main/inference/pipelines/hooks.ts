import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';

/** What a pipeline tells while it runs. Both may be called many times; neither may throw. */
export interface PipelineHooks {
  onProgress(stage: ProgressStage, done: number, total: number): void;
  /** What the picture promises to be, one pixel a latent pixel, before the progress of each denoising step. */
  onPreview?(step: number, picture: RgbImage): void;
}
