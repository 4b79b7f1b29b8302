import type { MemoryDecision } from '#main/inference/memory-plan.ts';
import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { GenerateRequest, UpscaleRequest } from './protocol.ts';

/** What a run reports beside its pipeline: how the checkpoint's parts will share memory, before they are loaded, and sentences for the task's report. */
export interface RunHooks extends PipelineHooks {
  onPlanned?(decision: MemoryDecision): void;
  onFallback?(sentence: string): void;
}

/** Runs models for the engine's process, one request at a time. Rejections may be anything; an abort rejects with `AppError` `cancelled` within one step. */
export interface ModelRunner {
  generate(request: GenerateRequest, hooks: RunHooks, signal: AbortSignal): Promise<RgbImage>;
  /** Takes `input` over: its pixels are gone afterwards. */
  upscale(request: UpscaleRequest, input: RgbImage, hooks: RunHooks, signal: AbortSignal): Promise<RgbImage>;
}
