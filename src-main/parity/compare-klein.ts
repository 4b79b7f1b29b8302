import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { StoredTensor } from '#main/compiler/safetensors/header.ts';
import { readFloats, readTensor } from '#main/compiler/safetensors/read-tensor.ts';
import { kleinPositions, type TokenGrid } from '#main/inference/klein-positions.ts';
import { planesOf } from '#main/inference/pipelines/image-latents.ts';
import { createKlein } from '#main/inference/pipelines/klein.ts';
import { transposed } from '#main/inference/pipelines/klein-latents.ts';
import { type KleinModels, loadKleinModels } from '#main/inference/pipelines/klein-models.ts';
import { createReferenceEncoder } from '#main/inference/pipelines/klein-references.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { kleinSigmas } from '#main/inference/schedulers/klein-sigmas.ts';
import { type CompiledKlein, MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import { decodePng } from '#main/lib/read-png.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { type Size, usedPartOf } from '#shared/domain/reference.ts';
import type { CompareWork } from './compare-work.ts';
import { type Comparison, largestDifference, psnr, relativeDifference } from './comparison.ts';

const SIGMA_LIMIT = 3e-7;
/** Of a bfloat16 checkpoint in int8 rows. */
const INT8_ROWS_LIMIT = 4e-2;
const INT8_ROWS_LIMIT_DB = { plain: 43, guided: 35 };
const LONG_PROMPT = 'a cat and a dog and '.repeat(400);

const caseSchema = z.object({
  name: z.string(),
  prompt: z.number().int(),
  seed: z.number().int(),
  steps: z.number().int(),
  guidance: z.number().default(1),
  size: z.tuple([z.number(), z.number()]).optional(),
  references: z.array(z.object({ png: z.string().optional() })).default([]),
});
type Case = z.infer<typeof caseSchema>;
const planSchema = z.object({ cases: z.array(caseSchema) });

/** What one run of the pipeline gave. */
interface Run {
  image: RgbImage;
  /** After each forward. */
  latents: Float32Array[];
  /** By forward: for the prompt, then for the empty one. */
  velocities: Float32Array[][];
}

/** A klein checkpoint against its goldens. */
export async function* compareKlein(work: CompareWork<CompiledKlein>): AsyncGenerator<Comparison> {
  const models = await loadKleinModels(work.compiled, { threads: work.request.threads }, () => {});
  try {
    const compare = createComparison(work, models);
    for (const golden of work.goldens.tensors.values()) {
      const comparison = await compare(golden);
      if (comparison !== null) yield comparison;
    }
  } finally {
    await models.release();
  }
}

function createComparison({ request, compiled, goldens, tensorLimit, imageLimitDb }: CompareWork<CompiledKlein>, models: KleinModels) {
  const { tensors, metadata } = goldens;
  const prompts = z.array(z.string()).parse(JSON.parse(metadata.get('prompts') ?? 'null'));
  const { cases } = planSchema.parse(JSON.parse(metadata.get('plan') ?? 'null'));
  const promptOf = (index: string): string => (index === 'long' ? LONG_PROMPT : (prompts[Number(index)] ?? ''));
  const channels = compiled.latentChannels * compiled.patchSize ** 2;
  const tokenPx = compiled.vaeScale * compiled.patchSize;
  const runs = new Map<string, Promise<Run>>();
  // forwards of quantized weights are judged by their images
  const forwardLimit = request.int8Rows ? null : tensorLimit;

  const storedTensor = (name: string): StoredTensor => tensors.get(name) ?? fail(`the goldens hold no ${name}`);
  const within = async (golden: StoredTensor, actual: Float32Array, limit = tensorLimit): Promise<Comparison> => {
    return { name: golden.name, measure: 'relative', value: relativeDifference(actual, await readFloats(golden)), limit };
  };
  const equal = async (golden: StoredTensor, actual: readonly number[]): Promise<Comparison> => {
    const expected = await readIntegers(golden);
    const different = actual.filter((value, i) => value !== expected[i]).length;
    return { name: golden.name, measure: 'equal', value: different + Math.abs(actual.length - expected.length), limit: 0 };
  };
  /** Tokens [tokens, channels] as the goldens have them, [channels, tokens]. */
  const asPlanes = (tokens: Float32Array): Float32Array => transposed(tokens, tokens.length / channels);

  async function imageOf(name: string): Promise<RgbImage> {
    const tensor = storedTensor(name);
    const [height = 0, width = 0] = tensor.shape;
    return { width, height, data: await readTensor(tensor) };
  }

  function referencesOf({ name, references }: Case): Promise<RgbImage[]> {
    const photo = (file: string): Promise<RgbImage> => decodePng(join(dirname(request.expectedPath), `${file}.png`));
    return Promise.all(references.map(({ png }, i) => (png === undefined ? imageOf(`${name}.reference${i}`) : photo(png))));
  }

  async function sizeOf(one: Case): Promise<Size> {
    const [width, height] = one.size ?? [];
    const [first] = await referencesOf(one);
    return width !== undefined && height !== undefined ? { width, height } : usedPartOf(first ?? fail(`${one.name} has no size`), tokenPx).kept;
  }

  async function gridsOf(one: Case): Promise<TokenGrid[]> {
    const sizes = [await sizeOf(one), ...(await referencesOf(one)).map((image) => usedPartOf(image, tokenPx).kept)];
    return sizes.map(({ width, height }) => ({ rows: height / tokenPx, columns: width / tokenPx }));
  }

  async function run(one: Case): Promise<Run> {
    const latents: Float32Array[] = [];
    const velocities: Float32Array[][] = [];
    const recording: KleinModels = {
      ...models,
      prepare: (options) => {
        const { forward } = models.prepare(options);
        return {
          forward: async (image, step, signal) => {
            const velocity = await forward(image, step, signal);
            velocities[step] = [...(velocities[step] ?? []), velocity];
            return velocity;
          },
        };
      },
    };
    const params = {
      ...{ prompt: promptOf(String(one.prompt)), ...(await sizeOf(one)), seed: one.seed, steps: one.steps },
      ...{ guidance_scale: one.guidance, model_type: 'klein' as const },
    };
    const hooks = { onProgress: () => {}, onLatents: (_forward: number, values: Float32Array) => void latents.push(values) };
    const references = await referencesOf(one);
    const image = await createKlein(compiled, recording).generate(params, hooks, { cancelled: false }, references.length > 0 ? { references } : {});
    return { image, latents: latents.slice(1), velocities };
  }

  function runOf(one: Case): Promise<Run> {
    const known = runs.get(one.name) ?? run(one);
    runs.set(one.name, known);
    return known;
  }

  async function compareCase(golden: StoredTensor, one: Case, what: string): Promise<Comparison | null> {
    const [kind = '', index = '', more] = what.split('.');
    const [grid, ...references] = (await gridsOf(one)) as [TokenGrid, ...TokenGrid[]];
    if (kind === 'image') {
      const guided = one.guidance > 1 ? 'guided' : 'plain';
      const limitDb = request.int8Rows ? INT8_ROWS_LIMIT_DB[guided] : imageLimitDb;
      return { name: golden.name, measure: 'psnr', value: psnr((await runOf(one)).image.data, await readTensor(golden), 255), limit: limitDb };
    }
    if (kind === 'sigmas') return compareSigmas(golden, one.steps, grid.rows * grid.columns);
    if (kind === 'noise') return within(golden, torchRandn(one.seed, channels * grid.rows * grid.columns));
    if (kind === 'position_ids') return equal(golden, kleinPositions(grid, references).flat());
    if (kind === 'latents') return within(golden, asPlanes((await runOf(one)).latents[Number(index)] ?? new Float32Array()), forwardLimit);
    if (kind === 'velocity') {
      const velocities = (await runOf(one)).velocities[Number(index)] ?? [];
      return within(golden, asPlanes(velocities[more === 'unconditional' ? 1 : 0] ?? new Float32Array()), forwardLimit);
    }
    const reference = /^reference(\d+)$/.exec(kind)?.[1];
    if (reference === undefined) throw unknown(golden);
    if (index === '') return null; // an input of the others
    const encoded = await createReferenceEncoder(compiled, models)(await referencesOf(one), { cancelled: false }, () => {});
    return within(golden, asPlanes(encoded[Number(reference)]?.tokens ?? new Float32Array()));
  }

  async function compareVae(golden: StoredTensor, size: string, what: string): Promise<Comparison | null> {
    const { width, height, data } = await imageOf(`vae.${size}.picture`);
    if (what === 'mean') return within(golden, await models.encodeImage(planesOf({ width, height, data }), width, height));
    if (what !== 'decoded') return null;
    const normalized = storedTensor(`vae.${size}.normalized`);
    const [, rows = 0, columns = 0] = normalized.shape;
    return within(golden, await models.decode(transposed(await readFloats(normalized), channels), { rows, columns }));
  }

  async function comparePrompt(golden: StoredTensor, index: string, what: string): Promise<Comparison | null> {
    if (what === 'input_ids') return equal(golden, models.tokenizer.encodePrompt(promptOf(index)).ids);
    if (what === 'rows') return null;
    const rows = await readIntegers(storedTensor(`prompt.${index}.rows`));
    const embedding = await models.encode(promptOf(index));
    const width = embedding.length / MAX_PROMPT_TOKENS;
    const picked = new Float32Array(rows.length * width);
    for (const [i, row] of rows.entries()) picked.set(embedding.subarray(row * width, (row + 1) * width), i * width);
    return within(golden, picked, request.int8Rows ? INT8_ROWS_LIMIT : tensorLimit);
  }

  /** Null for tensors that are inputs of others. */
  return async (golden: StoredTensor): Promise<Comparison | null> => {
    const { name } = golden;
    const one = cases.filter((candidate) => name.startsWith(`${candidate.name}.`)).sort((a, b) => b.name.length - a.name.length)[0];
    if (one !== undefined) return compareCase(golden, one, name.slice(one.name.length + 1));
    const [kind, second = '', third = ''] = name.split('.');
    if (kind === 'prompt') return comparePrompt(golden, second, third);
    if (kind === 'scheduler') return compareSigmas(golden, Number(second), Number(third));
    if (kind === 'vae') return compareVae(golden, second, third);
    if (name === 'reference.geometry') return compareGeometry(golden);
    throw unknown(golden);
  };

  /** Rows of the size sent, the size after scaling, and the rectangle kept. */
  async function compareGeometry(golden: StoredTensor): Promise<Comparison> {
    const expected = await readIntegers(golden);
    const rows = Array.from({ length: golden.shape[0] ?? 0 }, (_, i) => {
      const [width = 0, height = 0] = expected.slice(8 * i);
      const { scaled, kept } = usedPartOf({ width, height }, tokenPx);
      return [width, height, scaled.width, scaled.height, kept.left, kept.top, kept.width, kept.height];
    });
    return equal(golden, rows.flat());
  }
}

async function compareSigmas(golden: StoredTensor, steps: number, tokens: number): Promise<Comparison> {
  return { name: golden.name, measure: 'absolute', value: largestDifference(kleinSigmas(steps, tokens), await readFloats(golden)), limit: SIGMA_LIMIT };
}

async function readIntegers(tensor: StoredTensor): Promise<number[]> {
  const { buffer } = await readTensor(tensor);
  return tensor.dtype === 'I64' ? [...new BigInt64Array(buffer)].map(Number) : [...new Int32Array(buffer)];
}

function unknown({ file, name }: StoredTensor): Error {
  return new Error(`${file} holds ${name}, which no comparison is known for`);
}

function fail(reason: string): never {
  throw new Error(reason);
}
