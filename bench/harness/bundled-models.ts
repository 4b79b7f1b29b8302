import { join } from 'node:path';
import type { CancelSignal } from '#main/inference/cancel.ts';
import type { LoadOptions } from '#main/inference/pipelines/load-parts.ts';
import { loadModels } from '#main/inference/pipelines/models.ts';
import { torchRandn } from '#main/inference/rng.ts';
import type { CompiledZImage } from '#main/lib/compiled.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { compileZImage } from './compile-z-image.ts';

const SIDE_PX = 512;
const PROMPT = 'an orange cat on a beach';

/** The stages of a 512 x 512 image of the bundled uint4 checkpoint, ready to run. */
export interface BundledModels {
  /** One forward of the transformer. */
  step(signal?: CancelSignal): Promise<void>;
  decode(signal?: CancelSignal): Promise<void>;
  release(): Promise<void>;
}

/** Compiles the checkpoint into `cacheDir` unless it is there, and loads it. */
export async function openBundled(cacheDir: string, options: LoadOptions<CompiledZImage>): Promise<BundledModels> {
  const checkpointDir = join(resourcesDir, 'models/storybook-uint4');
  const compiled = await compileZImage(checkpointDir, cacheDir);
  const models = await loadModels(compiled, options, () => {});
  const latentSide = SIDE_PX / compiled.vaeScale;
  const tokenSide = latentSide / compiled.patchSize;
  const noise = torchRandn(1, compiled.latentChannels * latentSide * latentSide);
  const caption = await models.denoiser.refine(await models.encode(models.tokenizer.encodePrompt(PROMPT).ids));
  const run = models.denoiser.prepare(tokenSide, tokenSide, caption);
  return {
    step: async (signal) => {
      await run.forward(noise, 0.5, signal);
    },
    decode: async (signal) => {
      await models.decode(noise, latentSide, latentSide, signal);
    },
    release: models.release,
  };
}
