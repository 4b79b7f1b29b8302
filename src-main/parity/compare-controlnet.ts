import { basename } from 'node:path';
import type { StoredTensor } from '#main/compiler/safetensors/header.ts';
import { readFloats, readTensor } from '#main/compiler/safetensors/read-tensor.ts';
import { unpatchify } from '#main/inference/patches.ts';
import { encodeControl } from '#main/inference/pipelines/control-input.ts';
import type { PipelineInputs } from '#main/inference/pipelines/image-pipeline.ts';
import { createTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import type { OrtTensor } from '#main/inference/session.ts';
import type { DenoiserVariant } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { type Comparison, psnr, relativeDifference } from './comparison.ts';
import { denoiseOnce, type Goldens } from './goldens.ts';

const IMAGE = /^image\.(\d+)x(\d+)\.prompt(\d+)(?:\.negative(\d+))?\.seed(\d+)\.steps(\d+)\.guidance([\d.]+)$/;

/** Compares the goldens of the ControlNet in the file `path`, and skips the goldens of other ControlNets. */
export function createControlNetComparison(goldens: Goldens, variant: DenoiserVariant, path: string) {
  const { compiled, models, tensors } = goldens;
  const file = `control.${basename(path, '.safetensors')}.`;
  const signal = { cancelled: false };

  async function image(name: string): Promise<RgbImage> {
    const stored = tensors.get(`control.${name}`);
    const [height, width] = stored?.shape ?? [];
    if (stored === undefined || height === undefined || width === undefined) throw new Error(`the goldens hold no control.${name}`);
    return { width, height, data: await readTensor(stored) };
  }

  async function contextOf(isInpaint: boolean): Promise<OrtTensor> {
    const repainted = isInpaint ? { image: await image('photo'), mask: await image('mask'), samplesMask: true } : null;
    return encodeControl(compiled, models, { preprocess: 'none', image: await image('picture') }, repainted, variant.controlChannels, signal);
  }

  return async (golden: StoredTensor): Promise<Comparison | null | 'unknown'> => {
    const { name } = golden;
    if (!name.startsWith('control.')) return 'unknown';
    if (/^control\.(picture|photo|mask)$/.test(name) || /\.hint\d+$/.test(name)) return null;
    const relative = async (actual: Float32Array): Promise<Comparison> => ({
      ...{ name, measure: 'relative', limit: goldens.tensorLimit },
      value: relativeDifference(actual, await readFloats(golden)),
    });
    const ditOf = async (what: string, more?: { captionRefiner: Record<string, OrtTensor>; denoiser: Record<string, OrtTensor> }): Promise<Comparison> => {
      const [, size = '', time, prompt] = /^dit\.(\d+x\d+)\.t([\d.]+)\.prompt(\d+)\.output$/.exec(what) ?? [];
      return relative(await denoiseOnce(goldens, size, Number(time), goldens.prompts[Number(prompt)] ?? '', more));
    };
    if (name.startsWith('control.none.')) {
      await models.follow('resident', null);
      return ditOf(name.slice('control.none.'.length));
    }
    if (!name.startsWith(file)) return null;
    await models.follow('resident', { graphs: variant });
    const [, inpaint, , scaleText, until, what = ''] =
      /^(inpaint\.)?(scale([\d.]+?)\.)?(until[\d.]+?\.)?((?:context|dit|image).*)$/.exec(name.slice(file.length)) ?? [];
    const isInpaint = inpaint !== undefined;
    if (what === 'context') {
      const [, height = 0, width = 0] = golden.shape;
      const tokens = await contextOf(isInpaint);
      return relative(unpatchify(tokens.data as Float32Array, variant.controlChannels, height, width, compiled.patchSize));
    }
    const scale = Number(scaleText);
    if (what.startsWith('dit.')) {
      const denoiser = { control: await contextOf(isInpaint), control_scale: { data: Float32Array.of(scale), shape: [1] } };
      return ditOf(what, { captionRefiner: {}, denoiser });
    }
    const match = IMAGE.exec(what);
    if (match === null) return 'unknown';
    const [width, height, prompt, negative, seed, forwards, guidance] = match.slice(1).map(Number) as [number, number, number, number, number, number, number];
    const end = until === undefined ? 1 : Number(until.slice('until'.length, -1));
    const inputs: PipelineInputs = {
      control: { image: await image('picture'), scale, start: 0, end, preprocess: 'none' },
      negativePrompt: goldens.negativePrompts[negative] ?? '',
    };
    if (isInpaint) {
      inputs.source = { image: await image('photo'), strength: 1, fit: 'stretch' };
      inputs.mask = { mask: await image('mask'), expand: null, onlyMasked: null, featherPx: 0, composite: false };
    }
    const made = await createTextToImage(compiled, models).generate(
      { prompt: goldens.prompts[prompt] ?? '', width, height, seed, steps: forwards + 1, guidance_scale: guidance, model_type: 'uint4' },
      { onProgress: () => {} },
      signal,
      inputs,
    );
    return { name, measure: 'psnr', value: psnr(made.data, await readTensor(golden), 255), limit: goldens.imageLimitDb };
  };
}
