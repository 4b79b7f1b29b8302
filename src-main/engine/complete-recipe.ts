import { cpus } from 'node:os';
import { COMPILER_VERSION } from '#main/compiler/compile-cache.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { deviceParts } from '#shared/domain/device.ts';
import { RECIPE_VERSION, type Recipe, type RecipeFacts } from '#shared/domain/recipe.ts';
import type { WorkerReport } from './protocol.ts';

/** Adds what is known once the image is made. */
export function completeRecipe(
  facts: RecipeFacts,
  report: Pick<WorkerReport, 'device' | 'accuracy' | 'width' | 'height' | 'pixelsSha256'>,
  original: string | null,
): Recipe {
  const { device, accuracy, width, height, pixelsSha256: sha256 } = report;
  return {
    version: RECIPE_VERSION,
    ...facts,
    made_on: {
      ...{ device, accuracy, provider: deviceParts(device).provider },
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      compiler: COMPILER_VERSION,
      onnxruntime: onnxruntimeVersion(),
    },
    pixels: { width, height, sha256 },
    original_sha256: original,
  };
}
