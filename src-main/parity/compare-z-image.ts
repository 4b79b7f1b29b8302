import { z } from 'zod';
import { compileVariant } from '#main/compiler/compile.ts';
import type { StoredTensor } from '#main/compiler/safetensors/header.ts';
import { readFloats, readTensor } from '#main/compiler/safetensors/read-tensor.ts';
import { loadModels } from '#main/inference/pipelines/models.ts';
import { createTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { sigmasFor } from '#main/inference/schedulers/flow-match-euler.ts';
import type { CompiledZImage } from '#main/lib/compiled.ts';
import { createControlNetComparison } from './compare-controlnet.ts';
import { createEditComparison } from './compare-edits.ts';
import { createLoraComparison } from './compare-loras.ts';
import { type CompareWork, compileOptions } from './compare-work.ts';
import { type Comparison, largestDifference, psnr, relativeDifference } from './comparison.ts';
import { denoiseOnce, type Goldens, latentsOf, promptOf } from './goldens.ts';

const INT8_ROWS_LIMIT = 2e-2;
const EXACT_NUMBERS_LIMIT = 1e-6;

/** A Z-Image checkpoint against its goldens. */
export async function* compareZImage({ request, compiled, goldens: file, tensorLimit, imageLimitDb }: CompareWork<CompiledZImage>): AsyncGenerator<Comparison> {
  const models = await loadModels(compiled, { threads: request.threads }, () => {});
  const { tensors, metadata } = file;
  const prompts = z.array(z.string()).parse(JSON.parse(metadata.get('prompts') ?? 'null'));
  const negativePrompts = z.array(z.string()).parse(JSON.parse(metadata.get('negative_prompts') ?? '[]'));
  const limits = { tensorLimit: request.int8Rows ? INT8_ROWS_LIMIT : tensorLimit, imageLimitDb };
  const goldens: Goldens = { tensors, prompts, negativePrompts, compiled, models, ...limits };
  const comparisons = [createEditComparison(goldens)];
  const variant = { ...compileOptions(request), base: compiled };
  const { loras, controlNet: path } = request;
  if (loras) {
    const graphs = await compileVariant({ ...variant, takesLoras: true, controlNet: null }, () => {});
    comparisons.push(createLoraComparison(goldens, graphs, loras));
  }
  if (path !== undefined) {
    const graphs = await compileVariant({ ...variant, takesLoras: false, controlNet: { path, identity: path } }, () => {});
    comparisons.push(createControlNetComparison(goldens, graphs, path));
  }
  for (const golden of tensors.values()) {
    let comparison: Comparison | null | 'unknown' = 'unknown';
    for (const compareKind of comparisons) if (comparison === 'unknown') comparison = await compareKind(golden);
    if (comparison === 'unknown') comparison = await compare(golden, goldens);
    if (comparison !== null) yield comparison;
  }
  await models.release();
}

/** Null for tensors that are inputs of others. */
async function compare(golden: StoredTensor, goldens: Goldens): Promise<Comparison | null> {
  const { name } = golden;
  const { tensorLimit } = goldens;
  const within = async (actual: Float32Array, measure: 'absolute' | 'relative', limit: number | null): Promise<Comparison> => {
    const difference = measure === 'absolute' ? largestDifference : relativeDifference;
    return { name, measure, value: difference(actual, await readFloats(golden)), limit };
  };

  let match = /^prompt\.(\d+)\.input_ids$/.exec(name);
  if (match) {
    const { ids } = goldens.models.tokenizer.encodePrompt(promptOf(goldens, match[1]));
    const expected = new BigInt64Array((await readTensor(golden)).buffer);
    return { name, measure: 'equal', value: countDifferent(ids, expected), limit: 0 };
  }
  match = /^prompt\.(\d+|long)\.text_embedding$/.exec(name);
  if (match) {
    const prompt = match[1] === 'long' ? 'a cat and a dog and '.repeat(400) : promptOf(goldens, match[1]);
    const embedding = await goldens.models.encode(goldens.models.tokenizer.encodePrompt(prompt).ids);
    const kept = match[1] === 'long' ? embedding.subarray(-4 * goldens.compiled.captionWidth) : embedding;
    return within(kept, 'relative', tensorLimit);
  }
  match = /^scheduler\.(\d+)\.\d+\.(sigmas|timesteps)$/.exec(name);
  if (match) {
    const sigmas = sigmasFor(Number(match[1]) + 1, goldens.models.shift);
    // timesteps are sigmas in thousandths, so their tolerance is 1000 times as wide
    if (match[2] === 'sigmas') return within(sigmas, 'absolute', EXACT_NUMBERS_LIMIT);
    return within(
      sigmas.subarray(0, -1).map((sigma) => sigma * 1000),
      'absolute',
      EXACT_NUMBERS_LIMIT * 1000,
    );
  }
  match = /^randn\.(\d+)\.(\d+)$/.exec(name);
  if (match) return within(torchRandn(Number(match[1]), Number(match[2])), 'absolute', EXACT_NUMBERS_LIMIT);
  match = /^dit\.(\d+x\d+)\.t([\d.]+)\.prompt(\d+)\.output$/.exec(name);
  if (match) return within(await denoiseOnce(goldens, match[1] ?? '', Number(match[2]), promptOf(goldens, match[3])), 'relative', tensorLimit);
  match = /^vae\.(\d+x\d+)\.decoded$/.exec(name);
  if (match) {
    const { values, width, height } = await latentsOf(goldens, match[1] ?? '');
    return within(await goldens.models.decode(values, width, height), 'relative', tensorLimit);
  }
  match = /^image\.(\d+)x(\d+)\.prompt(\d+)\.seed(\d+)\.steps(\d+)\.guidance([\d.]+)$/.exec(name);
  if (match) {
    const [width, height, prompt, seed, forwards, guidance] = match.slice(1).map(Number) as [number, number, number, number, number, number];
    const image = await createTextToImage(goldens.compiled, goldens.models).generate(
      { prompt: promptOf(goldens, String(prompt)), width, height, seed, steps: forwards + 1, guidance_scale: guidance, model_type: 'uint4' },
      { onProgress: () => {} },
      { cancelled: false },
    );
    return { name, measure: 'psnr', value: psnr(image.data, await readTensor(golden), 255), limit: goldens.imageLimitDb };
  }
  if (/^dit\.\d+x\d+\.latents$/.test(name)) return null;
  throw new Error(`${golden.file} holds ${name}, which no comparison is known for`);
}

function countDifferent(actual: readonly number[], expected: BigInt64Array): number {
  let different = Math.abs(actual.length - expected.length);
  for (const [i, id] of actual.entries()) if (i < expected.length && BigInt(id) !== expected[i]) different++;
  return different;
}
