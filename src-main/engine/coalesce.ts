import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';

const PROGRESS_INTERVAL_MS = 100;
const PREVIEW_INTERVAL_MS = 250;

/**
 * Passes on the reports of a pipeline, at most ten times a second for progress and four for previews. Never held back: every step of `generating`, and the
 * first and last report of any stage. `now` is a monotonic clock in milliseconds.
 */
export function coalesceHooks(hooks: PipelineHooks, now: () => number = () => performance.now()): PipelineHooks {
  let stageNow: ProgressStage | null = null;
  let progressAt = Number.NEGATIVE_INFINITY;
  let previewAt = Number.NEGATIVE_INFINITY;
  const { onPreview } = hooks;
  return {
    onProgress(stage, done, total) {
      const isDue = now() - progressAt >= PROGRESS_INTERVAL_MS;
      if (stage !== 'generating' && stage === stageNow && done < total && !isDue) return;
      stageNow = stage;
      progressAt = now();
      hooks.onProgress(stage, done, total);
    },
    ...(onPreview && {
      onPreview(step, image) {
        if (now() - previewAt < PREVIEW_INTERVAL_MS) return;
        previewAt = now();
        onPreview(step, image);
      },
    }),
  };
}
