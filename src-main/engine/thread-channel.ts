import type { MemoryDecision } from '#main/inference/memory-plan.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { WireError } from '#shared/protocol/errors.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';
import type { GenerateOrder, UpscaleOrder, WorkerConfig } from './channel.ts';

/** What the engine's main thread and its model thread say to each other; both are one process, so nothing is checked again. */

export interface ThreadData {
  config: WorkerConfig;
  /** One int32 that holds the id of the task to be cancelled: the model thread hears no message while a native call runs. */
  cancelFlag: SharedArrayBuffer;
}

export type ThreadOrder = GenerateOrder | { type: 'enlarge'; order: UpscaleOrder; input: RgbImage };

export type ThreadEvent =
  | { type: 'progress'; stage: ProgressStage; done: number; total: number }
  | { type: 'planned'; decision: MemoryDecision }
  | { type: 'preview'; step: number; picture: RgbImage }
  | { type: 'picture'; picture: RgbImage }
  | { type: 'failed'; error: WireError };
