import type { CompiledZImage } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { patchify, unpatchify } from '../patches.ts';
import { pixelsFromPlanes } from '../pixels.ts';
import { createRecentlyUsed } from '../recently-used.ts';
import { torchRandn } from '../rng.ts';
import { checkedFirstForward, eulerStep, sigmasFor } from '../schedulers/flow-match-euler.ts';
import type { OrtInputs } from '../session.ts';
import { assertLatents, assertNotFlat, isFlat } from '../validate-latents.ts';
import { createCanvas, guideOf } from './canvas.ts';
import { encodeControl, isControlled } from './control-input.ts';
import type { DenoiserRun, PromptEmbedding } from './denoiser.ts';
import type { PipelineHooks } from './hooks.ts';
import { encodeImage } from './image-latents.ts';
import type { ImagePipeline, PipelineInputs } from './image-pipeline.ts';
import type { LoadOptions, OnLoadProgress } from './load-parts.ts';
import { createLoraInputs, type LoraInputs } from './lora-inputs.ts';
import { loadModels, type Models } from './models.ts';
import { createStepPreview } from './step-preview.ts';

/** Prompt embeddings in the cache. */
const KEPT_EMBEDDINGS = 32;

/** Loads tokenizer, scheduler settings and graphs; `onProgress` counts them. */
export async function loadTextToImage(compiled: CompiledZImage, options: LoadOptions<CompiledZImage>, onProgress: OnLoadProgress): Promise<ImagePipeline> {
  return createTextToImage(compiled, await loadModels(compiled, options, onProgress));
}

/** The pipeline over loaded models, which it releases. */
export function createTextToImage(compiled: CompiledZImage, models: Models): ImagePipeline {
  const { tokenizer, denoiser } = models;
  const recentEmbedding = createRecentlyUsed<PromptEmbedding>(KEPT_EMBEDDINGS);
  const loraInputs = createLoraInputs();
  const preview = createStepPreview({
    ...{ channels: compiled.latentChannels, scale: compiled.vaeScale, keepsDecoder: models.keepsDecoder },
    decode: (latents, { width, height }) => models.decode(latents, width, height),
  });

  function embeddingOf(prompt: string, lora: LoraInputs, signal: CancelSignal): Promise<PromptEmbedding> {
    return recentEmbedding(`${lora.key} ${prompt}`, async () =>
      denoiser.refine(await models.encode(tokenizer.encodePrompt(prompt).ids, signal), signal, lora.captionRefiner),
    );
  }

  async function generate(params: TextToImageParams, hooks: PipelineHooks, signal: CancelSignal, inputs: PipelineInputs = {}): Promise<RgbImage> {
    assertNotCancelled(signal);
    if (inputs.references !== undefined) throw new AppError('bad_param', 'Z-Image takes no reference images. Use a klein model.', { field: 'images' });
    const size = latentSize(compiled, params);
    const { width, height, rows, columns } = size;
    const { latentChannels: channels, vaeScale } = compiled;
    const generated = { width: width * vaeScale, height: height * vaeScale };
    const { source, mask } = inputs;
    const canvas = source && createCanvas(source, mask, params, generated);
    const sigmas = sigmasFor(params.steps, models.shift);
    const forwards = sigmas.length - 1;
    const first = source ? checkedFirstForward(forwards, source.strength) : 0;
    const steps = params.steps - first;

    hooks.onProgress('encoding', 0, 1);
    const prompts = params.guidance_scale > 0 ? [params.prompt, inputs.negativePrompt ?? ''] : [params.prompt];
    const prompted: PromptEmbedding[] = [];
    const { loraTargets = [], controlChannels = 0 } = models.variant() ?? {};
    const lora = loraInputs(loraTargets, inputs.loras ?? []);
    for (const prompt of prompts) prompted.push(await embeddingOf(prompt, lora, signal));
    const samplesMask = mask?.composite === false;
    const { control } = inputs;
    const guide = control && (canvas ? canvas.guide(control.image) : guideOf(control.image, params, generated));
    const repainted = canvas?.mask ? { ...canvas, samplesMask } : null;
    const controlTokens = guide && (await encodeControl(compiled, models, { ...control, image: guide }, repainted, controlChannels, signal));
    // a ControlNet that sees what is repainted begins with noise alone
    const beginsWithNoise = canvas === undefined || (first === 0 && repainted !== null && controlChannels > channels);
    const start = beginsWithNoise ? null : await encodeImage(compiled, models, canvas, params.seed, samplesMask, signal);
    hooks.onProgress('encoding', 1, 1);

    let latents = start // [rows * columns, patch width]
      ? start.at(sigmas[first] ?? 0)
      : patchify(torchRandn(params.seed, channels * height * width), channels, height, width, compiled.patchSize);
    const runs = prompted.map((embedding) =>
      denoiser.prepare(rows, columns, embedding, { ...lora.denoiser, ...(controlTokens && { control: controlTokens }) }),
    );
    hooks.onLatents?.(first, latents);
    for (let i = first; i < forwards; i++) {
      assertNotCancelled(signal);
      const [sigma, next] = [sigmas[i] ?? 0, sigmas[i + 1] ?? 0];
      const output = await guidedForward(runs, latents, modelTime(sigma), params.guidance_scale, signal, control && controlScale(control, i, forwards));
      if (hooks.onPreview && preview.isCheap()) {
        const end = eulerStep(latents, output, sigma); // a step over all that is left
        const whole = await preview.render(unpatchify(end, channels, height, width, compiled.patchSize), size);
        hooks.onPreview(i + 1 - first, cropped(whole, Math.round(params.width / vaeScale), Math.round(params.height / vaeScale)));
      }
      latents = eulerStep(latents, output, Math.fround(sigma - next)); // the velocity is -output
      if (start) latents = start.keepUnmasked(latents, next);
      assertLatents(latents, i + 1);
      hooks.onLatents?.(i + 1, latents);
      hooks.onProgress('generating', i + 1 - first, steps);
    }
    // in the original's count one more step follows, which moves nothing
    for (let i = forwards; i < params.steps; i++) hooks.onProgress('generating', i + 1 - first, steps);

    assertNotCancelled(signal);
    hooks.onProgress('decoding', 0, 1);
    const plain = unpatchify(latents, channels, height, width, compiled.patchSize);
    const planes = await models.decode(plain, width, height, signal);
    preview.fit(plain, planes, size);
    const decoded = { ...generated, data: pixelsFromPlanes(planes, 127.5, 127.5) };
    const image = canvas ? canvas.finish(decoded) : cropped(decoded, params.width, params.height);
    // a flat source may stay one, and pixels of the source may hide that nothing was generated
    if (!canvas || !isFlat(canvas.image)) assertNotFlat(decoded);
    hooks.onProgress('decoding', 1, 1);
    assertNotCancelled(signal);
    return image;
  }

  return { generate, follow: models.follow, release: models.release };
}

/** pos + guidance * (pos - neg); with one run, its output as it is. */
async function guidedForward(
  runs: readonly DenoiserRun[],
  latents: Float32Array,
  time: number,
  guidance: number,
  signal: CancelSignal,
  more: OrtInputs | undefined,
): Promise<Float32Array> {
  const [conditional, unconditional] = runs;
  const positive = await (conditional as DenoiserRun).forward(latents, time, signal, more);
  if (!unconditional) return positive;
  const negative = await unconditional.forward(latents, time, signal, more);
  const guided = new Float32Array(positive.length);
  for (let i = 0; i < guided.length; i++) {
    const value = positive[i] ?? 0;
    guided[i] = value + guidance * (value - (negative[i] ?? 0));
  }
  return guided;
}

function controlScale(control: NonNullable<PipelineInputs['control']>, forward: number, forwards: number): OrtInputs {
  return { control_scale: { data: Float32Array.of(isControlled(control, forward, forwards) ? control.scale : 0), shape: [1] } };
}

/** 1 - sigma, in the float32 steps of diffusers: timesteps are sigma * 1000, the model gets (1000 - timestep) / 1000. */
function modelTime(sigma: number): number {
  return Math.fround(Math.fround(1000 - Math.fround(sigma * 1000)) / 1000);
}

interface LatentSize {
  /** Latent pixels. */
  width: number;
  height: number;
  /** Tokens. */
  rows: number;
  columns: number;
}

/** Size of the smallest image that the checkpoint can make and that contains the requested one. */
function latentSize(compiled: CompiledZImage, params: TextToImageParams): LatentSize {
  const tokenPx = compiled.vaeScale * compiled.patchSize;
  const rows = Math.ceil(params.height / tokenPx);
  const columns = Math.ceil(params.width / tokenPx);
  return { width: columns * compiled.patchSize, height: rows * compiled.patchSize, rows, columns };
}

/** The middle of an image. */
function cropped(image: RgbImage, width: number, height: number): RgbImage {
  if (image.width === width && image.height === height) return image;
  const left = Math.floor((image.width - width) / 2);
  const top = Math.floor((image.height - height) / 2);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data };
}
