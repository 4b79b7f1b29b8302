import type { StoredTensor } from '#main/compiler/safetensors/header.ts';
import { readFloats } from '#main/compiler/safetensors/read-tensor.ts';
import { patchify, unpatchify } from '#main/inference/patches.ts';
import type { LoraInputs } from '#main/inference/pipelines/lora-inputs.ts';
import type { Models } from '#main/inference/pipelines/models.ts';
import type { CompiledZImage } from '#main/lib/compiled.ts';

/** What comparisons compare: the goldens, and the loaded checkpoint that they belong to. */
export interface Goldens {
  tensors: ReadonlyMap<string, StoredTensor>;
  prompts: readonly string[];
  negativePrompts: readonly string[];
  compiled: CompiledZImage;
  models: Models;
  /** What one forward may differ by; null where the difference is only printed. */
  tensorLimit: number | null;
  imageLimitDb: number;
}

export function promptOf({ prompts }: Goldens, index: string | undefined): string {
  const prompt = prompts[Number(index)];
  if (prompt === undefined) throw new Error(`the goldens name prompt ${index} and hold ${prompts.length}`);
  return prompt;
}

interface Latents {
  values: Float32Array;
  width: number;
  height: number;
}

/** The golden latents [1, channels, height, width] of an image size. */
export async function latentsOf({ tensors }: Goldens, size: string): Promise<Latents> {
  const stored = tensors.get(`dit.${size}.latents`);
  const [, , height, width] = stored?.shape ?? [];
  if (!stored || height === undefined || width === undefined) throw new Error(`the goldens hold no dit.${size}.latents`);
  return { values: await readFloats(stored), width, height };
}

/** The transformer's output [channels, height, width] for the golden latents. */
export async function denoiseOnce(
  goldens: Goldens,
  size: string,
  time: number,
  prompt: string,
  more?: Pick<LoraInputs, 'captionRefiner' | 'denoiser'>,
): Promise<Float32Array> {
  const { compiled, models } = goldens;
  const { patchSize, latentChannels } = compiled;
  const { values, width, height } = await latentsOf(goldens, size);
  const caption = await models.denoiser.refine(await models.encode(models.tokenizer.encodePrompt(prompt).ids), undefined, more?.captionRefiner);
  const run = models.denoiser.prepare(height / patchSize, width / patchSize, caption, more?.denoiser);
  const output = await run.forward(patchify(values, latentChannels, height, width, patchSize), time);
  return unpatchify(output, latentChannels, height, width, patchSize);
}
