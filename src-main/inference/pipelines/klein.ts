import type { CompiledKlein } from '#main/lib/compiled.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { pixelsFromPlanes } from '../pixels.ts';
import { createRecentlyUsed } from '../recently-used.ts';
import { torchRandn } from '../rng.ts';
import { eulerStep } from '../schedulers/flow-match-euler.ts';
import { kleinSigmas } from '../schedulers/klein-sigmas.ts';
import { assertLatents, assertNotFlat } from '../validate-latents.ts';
import type { ImagePipeline, PipelineInputs } from './image-pipeline.ts';
import { patchifyKlein, transposed, unpatchifyKlein } from './klein-latents.ts';
import { type KleinModels, type KleinRun, loadKleinModels, type PromptEmbedding } from './klein-models.ts';
import { createReferenceEncoder } from './klein-references.ts';
import type { LoadOptions, OnLoadProgress } from './load-parts.ts';
import { createStepPreview } from './step-preview.ts';

const KEPT_EMBEDDINGS = 32;
/** Modulations, each of a count of steps and of tokens. */
const KEPT_MODULATIONS = 4;

export async function loadKlein(compiled: CompiledKlein, options: LoadOptions<CompiledKlein>, onProgress: OnLoadProgress): Promise<ImagePipeline> {
  return createKlein(compiled, await loadKleinModels(compiled, options, onProgress));
}

/**
 * FLUX.2 [klein] over loaded models, which it releases: text to image, and with references the editing of images by words. N steps are N forwards.
 * Reference: diffusers 0.42.1, `pipelines/flux2/pipeline_flux2_klein.py`.
 */
export function createKlein(compiled: CompiledKlein, models: KleinModels): ImagePipeline {
  const { latentChannels, patchSize, vaeScale } = compiled;
  const tokenPx = patchSize * vaeScale;
  const recentPrompt = createRecentlyUsed<PromptEmbedding>(KEPT_EMBEDDINGS);
  const recentModulation = createRecentlyUsed<Float32Array>(KEPT_MODULATIONS);
  const encodeReferences = createReferenceEncoder(compiled, models);
  const gridOf = (latents: { width: number; height: number }) => ({ rows: latents.height / patchSize, columns: latents.width / patchSize });
  const preview = createStepPreview({
    ...{ channels: latentChannels, scale: vaeScale, keepsDecoder: models.keepsDecoder },
    decode: (latents, size) => models.decode(patchifyKlein(latents, latentChannels, gridOf(size), patchSize), gridOf(size)),
  });

  function embeddingOf(prompt: string, signal: CancelSignal): Promise<PromptEmbedding> {
    return recentPrompt(prompt, async () => {
      const text = await models.encode(prompt, signal);
      assertNotCancelled(signal);
      return models.embed(text, signal);
    });
  }

  return {
    async generate(params, hooks, signal, inputs = {}) {
      assertNotCancelled(signal);
      assertTaken(compiled, params, inputs, tokenPx);
      const { width, height, steps, guidance_scale: guidance, seed } = params;
      const image = { rows: height / tokenPx, columns: width / tokenPx };
      const latentSize = { width: width / vaeScale, height: height / vaeScale };
      const imageTokens = image.rows * image.columns;
      const sigmas = kleinSigmas(steps, imageTokens);
      const prompts = guidance > 1 ? [params.prompt, inputs.negativePrompt ?? ''] : [params.prompt];
      const images = inputs.references ?? [];
      const parts = prompts.length + images.length;

      hooks.onProgress('encoding', 0, parts);
      const embeddings: PromptEmbedding[] = [];
      for (const prompt of prompts) {
        embeddings.push(await embeddingOf(prompt, signal));
        hooks.onProgress('encoding', embeddings.length, parts);
      }
      const references = await encodeReferences(images, signal, (done) => hooks.onProgress('encoding', prompts.length + done, parts));
      assertNotCancelled(signal);
      const modulation = await recentModulation(`${steps} ${imageTokens}`, () => models.modulate(sigmas.subarray(0, steps), signal));
      const runs = embeddings.map((prompt) => models.prepare({ image, references, prompt, modulation, steps }));

      const channels = latentChannels * patchSize ** 2;
      let latents = transposed(torchRandn(seed, channels * imageTokens), channels); // [imageTokens, channels]
      hooks.onLatents?.(0, latents);
      for (let i = 0; i < steps; i++) {
        assertNotCancelled(signal);
        const [sigma, next] = [sigmas[i] ?? 0, sigmas[i + 1] ?? 0];
        const velocity = await guidedForward(runs, latents, i, guidance, signal);
        if (hooks.onPreview && preview.isCheap()) {
          const end = eulerStep(latents, velocity, -sigma); // a step over all that is left
          hooks.onPreview(i + 1, await preview.render(unpatchifyKlein(end, latentChannels, image, patchSize), latentSize));
        }
        latents = eulerStep(latents, velocity, Math.fround(next - sigma));
        assertLatents(latents, i + 1);
        hooks.onLatents?.(i + 1, latents);
        hooks.onProgress('generating', i + 1, steps);
      }

      assertNotCancelled(signal);
      hooks.onProgress('decoding', 0, 1);
      const planes = await models.decode(latents, image, signal);
      preview.fit(unpatchifyKlein(latents, latentChannels, image, patchSize), planes, latentSize);
      const made = { width, height, data: pixelsFromPlanes(planes, 127.5, 127.5) };
      assertNotFlat(made);
      hooks.onProgress('decoding', 1, 1);
      assertNotCancelled(signal);
      return made;
    },
    follow: models.follow,
    release: models.release,
  };
}

/** u + guidance * (v - u), u for the empty or the negative prompt; with one run, its velocity as it is. */
async function guidedForward(runs: readonly KleinRun[], latents: Float32Array, step: number, guidance: number, signal: CancelSignal): Promise<Float32Array> {
  const [conditional, unconditional] = runs;
  const wanted = await (conditional as KleinRun).forward(latents, step, signal);
  if (unconditional === undefined) return wanted;
  assertNotCancelled(signal);
  const unwanted = await unconditional.forward(latents, step, signal);
  return wanted.map((value, i) => (unwanted[i] ?? 0) + guidance * (value - (unwanted[i] ?? 0)));
}

/** Throws `bad_param` for what klein does not take. */
function assertTaken(
  { isDistilled }: CompiledKlein,
  { width, height, guidance_scale: guidance }: TextToImageParams,
  inputs: PipelineInputs,
  unitPx: number,
): void {
  const refuse = (field: string, sentence: string): never => {
    throw new AppError('bad_param', sentence, { field });
  };
  for (const [field, input] of Object.entries({ image: inputs.source, mask: inputs.mask, control: inputs.control })) {
    if (input !== undefined) refuse(field, `klein takes no ${field}. Send the images that the prompt is about as images.`);
  }
  if ((inputs.loras ?? []).length > 0) refuse('loras', 'klein takes no LoRAs. Leave loras out.');
  if (isDistilled && guidance > 1) refuse('guidance_scale', `guidance_scale is ${guidance}, and this klein is distilled: 1 only.`);
  if (isDistilled && inputs.negativePrompt) refuse('negative_prompt', 'This klein is distilled and takes no negative prompt. Leave negative_prompt out.');
  for (const [field, side] of Object.entries({ width, height })) {
    if (side % unitPx !== 0) refuse(field, `${field} is ${side}; klein makes multiples of ${unitPx}.`);
  }
}
