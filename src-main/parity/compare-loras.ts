import { basename } from 'node:path';
import { loadLora } from '#main/compiler/lora/load-lora.ts';
import type { StoredTensor } from '#main/compiler/safetensors/header.ts';
import { readFloats, readTensor } from '#main/compiler/safetensors/read-tensor.ts';
import { createLoraInputs, type WeightedLora } from '#main/inference/pipelines/lora-inputs.ts';
import { createTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import type { DenoiserVariant } from '#main/lib/compiled.ts';
import { type Comparison, psnr, relativeDifference } from './comparison.ts';
import { denoiseOnce, type Goldens } from './goldens.ts';

/** A LoRA to compare with; null takes every weight that the goldens have. */
export interface ParityLora {
  path: string;
  weight: number | null;
}

const DIT = /^dit\.(\d+x\d+)\.t([\d.]+)\.prompt(\d+)\.output$/;
const IMAGE = /^image\.(\d+)x(\d+)\.prompt(\d+)\.seed(\d+)\.steps(\d+)\.guidance([\d.]+)$/;

/** Compares the goldens of the given LoRA files, and skips the goldens of other LoRAs. */
export function createLoraComparison(goldens: Goldens, variant: DenoiserVariant, files: readonly ParityLora[]) {
  const { compiled, models } = goldens;
  const byName = new Map(files.map((file) => [basename(file.path, '.safetensors'), file]));
  const inputsOf = createLoraInputs();

  return async (golden: StoredTensor): Promise<Comparison | null | 'unknown'> => {
    const { name } = golden;
    const [, names = '', weightText = '', what = ''] = /^lora\.(.+?)(?:\.weight([-\d.+]+))?\.((?:dit|image)\..+)$/.exec(name) ?? [];
    if (names === '') return 'unknown';
    const weights = weightText.split('+').map(Number);
    const loras: WeightedLora[] = [];
    for (const [i, file] of (names === 'none' ? [] : names.split('+')).entries()) {
      const known = byName.get(file);
      const weight = weights[i] ?? 1;
      if (known === undefined || (known.weight ?? weight) !== weight) return null;
      loras.push({ lora: await loadLora(known.path, known.path, variant.loraTargets), weight });
    }
    await models.follow('resident', { graphs: variant });

    const dit = DIT.exec(what);
    if (dit) {
      const output = await denoiseOnce(goldens, dit[1] ?? '', Number(dit[2]), goldens.prompts[Number(dit[3])] ?? '', inputsOf(variant.loraTargets, loras));
      return { name, measure: 'relative', value: relativeDifference(output, await readFloats(golden)), limit: goldens.tensorLimit };
    }
    const image = IMAGE.exec(what);
    if (!image) return 'unknown';
    const [width, height, prompt, seed, forwards, guidance] = image.slice(1).map(Number) as [number, number, number, number, number, number];
    const made = await createTextToImage(compiled, models).generate(
      { prompt: goldens.prompts[prompt] ?? '', width, height, seed, steps: forwards + 1, guidance_scale: guidance, model_type: 'uint4' },
      { onProgress: () => {} },
      { cancelled: false },
      { loras },
    );
    return { name, measure: 'psnr', value: psnr(made.data, await readTensor(golden), 255), limit: goldens.imageLimitDb };
  };
}
