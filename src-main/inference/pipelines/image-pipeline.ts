import type { ControlInput, ImageInputs } from '#main/lib/image-inputs.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import type { CancelSignal } from '../cancel.ts';
import type { PipelineHooks } from './hooks.ts';
import type { LoadedVariant } from './load-parts.ts';
import type { WeightedLora } from './lora-inputs.ts';

/** What an image is made from beside its params. */
export interface PipelineInputs extends Pick<ImageInputs, 'negativePrompt' | 'source' | 'mask' | 'references'> {
  /** The models must use a variant that takes LoRAs. */
  loras?: readonly WeightedLora[];
  /** The models must use a variant with its ControlNet. */
  control?: Omit<ControlInput, 'file' | 'name' | 'identity'>;
}

/** What every architecture can do with its loaded models. */
export interface ImagePipeline {
  /**
   * Throws `bad_param` for inputs that do not fit together or that the architecture does not take, `cancelled`, `latents_not_finite`, `latents_collapsed`,
   * `picture_not_finite`, `picture_flat`, `engine_out_of_memory` or `engine_failed`.
   */
  generate(params: TextToImageParams, hooks: PipelineHooks, signal: CancelSignal, inputs?: PipelineInputs): Promise<RgbImage>;
  /** Uses this memory plan and these graphs from the next image on. Throws `engine_out_of_memory` or `engine_failed`. */
  follow(plan: MemoryPlan, variant?: LoadedVariant | null): Promise<void>;
  release(): Promise<void>;
}
