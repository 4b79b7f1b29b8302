import type { StoredTensor } from '#main/compiler/safetensors/header.ts';
import { readFloats, readTensor } from '#main/compiler/safetensors/read-tensor.ts';
import { unpatchify } from '#main/inference/patches.ts';
import { latentMask, planesOf } from '#main/inference/pipelines/image-latents.ts';
import type { PipelineInputs } from '#main/inference/pipelines/image-pipeline.ts';
import { createTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { checkedFirstForward, sigmasFor } from '#main/inference/schedulers/flow-match-euler.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { type Comparison, largestDifference, psnr, relativeDifference } from './comparison.ts';
import type { Goldens } from './goldens.ts';

const CASE =
  /^(img2img|inpaint|text)\.(\d+)x(\d+)\.prompt(\d+)(?:\.negative(\d+))?\.seed(\d+)\.steps(\d+)(?:\.strength([\d.]+?))?(?:\.(rectangle|soft))?\.guidance(\d+\.\d+)\.(.+)$/;
const EXACT_NUMBERS_LIMIT = 1e-6;

/** One run of the pipeline, which several goldens look at. */
interface EditRun {
  image: RgbImage;
  /** By the count of forwards from the schedule's start; the first is before the first forward. */
  latents: ReadonlyMap<number, Float32Array>;
}

/** Compares goldens of images made from images, and of negative prompts. */
export function createEditComparison(goldens: Goldens): (golden: StoredTensor) => Promise<Comparison | null | 'unknown'> {
  const { tensors, compiled, models } = goldens;
  const runs = new Map<string, Promise<EditRun>>();

  const stored = (name: string): StoredTensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`the goldens hold no ${name}`);
    return tensor;
  };
  const relative = async (golden: StoredTensor, actual: Float32Array, limit = goldens.tensorLimit): Promise<Comparison> => ({
    ...{ name: golden.name, measure: 'relative', limit },
    value: relativeDifference(actual, await readFloats(golden)),
  });
  const absolute = async (golden: StoredTensor, actual: Float32Array): Promise<Comparison> => ({
    ...{ name: golden.name, measure: 'absolute', limit: EXACT_NUMBERS_LIMIT },
    value: largestDifference(actual, await readFloats(golden)),
  });

  async function startTable(golden: StoredTensor): Promise<Comparison> {
    const expected = new BigInt64Array((await readTensor(golden)).buffer);
    const [, strengths = 0] = golden.shape;
    const value = expected.filter((first, at) => {
      try {
        return BigInt(checkedFirstForward(Math.floor(at / strengths) + 1, (at % strengths) / 100)) !== first;
      } catch {
        // refused, which the table has as -1
        return first !== -1n;
      }
    }).length;
    return { name: golden.name, measure: 'equal', value, limit: 0 };
  }

  return async (golden) => {
    const { name } = golden;
    if (name === 'strength.start') return startTable(golden);
    if (/^(picture|mask)\.\d+x\d+/.test(name)) return null;
    const match = CASE.exec(name);
    if (match === null) return 'unknown';
    const [, kind, , , prompt, negative, , , strengthText, mask, guidance, what = ''] = match;
    const [width, height, seed, forwards] = [match[2], match[3], match[6], match[7]].map(Number) as [number, number, number, number];
    const { latentChannels: channels, vaeScale: scale, patchSize } = compiled;
    const [latentHeight, latentWidth] = [height / scale, width / scale];
    const count = channels * latentHeight * latentWidth;
    const picture = async (): Promise<RgbImage> => ({ width, height, data: new Uint8Array(await readTensor(stored(`picture.${width}x${height}`))) });
    const maskBytes = async (): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await readTensor(stored(`mask.${width}x${height}.${mask}`)));

    async function run(): Promise<EditRun> {
      const latents = new Map<number, Float32Array>();
      const inputs: PipelineInputs = {};
      if (negative !== undefined) inputs.negativePrompt = goldens.negativePrompts[Number(negative)] ?? '';
      if (kind !== 'text') inputs.source = { image: await picture(), strength: Number(strengthText), fit: 'stretch' };
      if (kind === 'inpaint') {
        inputs.mask = { mask: { width, height, data: await maskBytes() }, expand: null, onlyMasked: null, featherPx: 0, composite: false };
      }
      const text = goldens.prompts[Number(prompt)] ?? '';
      const image = await createTextToImage(compiled, models).generate(
        { prompt: text, width, height, seed, steps: forwards + 1, guidance_scale: Number(guidance), model_type: 'uint4' },
        { onProgress: () => {}, onLatents: (forward, tokens) => latents.set(forward, unpatchify(tokens, channels, latentHeight, latentWidth, patchSize)) },
        { cancelled: false },
        inputs,
      );
      return { image, latents };
    }
    const runOnce = (): Promise<EditRun> => {
      const key = name.slice(0, -what.length);
      const known = runs.get(key) ?? run();
      runs.set(key, known);
      return known;
    };

    if (what === 'image') {
      const value = psnr((await runOnce()).image.data, await readTensor(golden), 255);
      return { name, measure: 'psnr', value, limit: goldens.imageLimitDb };
    }
    if (what === 'moments') return relative(golden, await models.encodeImage(planesOf(await picture()), latentWidth, latentHeight));
    if (what === 'posterior_noise') return absolute(golden, torchRandn(seed, 2 * count).subarray(0, count));
    if (what === 'noise') return absolute(golden, torchRandn(seed, 2 * count).subarray(count));
    if (what === 'sigmas') return absolute(golden, sigmasFor(forwards + 1, models.shift));
    if (what === 'mask') {
      const actual = latentMask(await maskBytes(), latentWidth, latentHeight, scale, true);
      const expected = await readFloats(golden);
      return { name, measure: 'equal', value: expected.filter((value, i) => value !== actual[i]).length, limit: 0 };
    }
    const first = checkedFirstForward(forwards, Number(strengthText));
    if (what === 'start') {
      const [expected] = new BigInt64Array((await readTensor(golden)).buffer);
      return { name, measure: 'equal', value: BigInt(first) === expected ? 0 : 1, limit: 0 };
    }
    // the source's latents are in the latents before the first forward
    if (what === 'z0') return null;
    const step = what === 'start_latents' ? first : Number(/^latents\.(\d+)$/.exec(what)?.[1] ?? Number.NaN) + 1;
    const latents = (await runOnce()).latents.get(step);
    return latents === undefined ? 'unknown' : relative(golden, latents);
  };
}
