import type { CompiledCheckpoint } from '#main/lib/compiled.ts';
import type { ControlInput, ImageInputs } from '#main/lib/image-inputs.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { createLatentPreview } from '../latent-preview.ts';
import { patchify, unpatchify } from '../patches.ts';
import { pixelsFromPlanes } from '../pixels.ts';
import { torchRandn } from '../rng.ts';
import { checkedFirstForward, eulerStep, sigmasFor } from '../schedulers/flow-match-euler.ts';
import type { OrtInputs } from '../session.ts';
import { assertLatents, assertNotFlat, isFlat } from '../validate-latents.ts';
import { createCanvas, guideOf } from './canvas.ts';
import { encodeControl, isControlled } from './control-input.ts';
import type { DenoiserRun, PromptEmbedding } from './denoiser.ts';
import type { PipelineHooks } from './hooks.ts';
import { encodeImage } from './image-latents.ts';
import { createLoraInputs, type LoraInputs, type WeightedLora } from './lora-inputs.ts';
import { type LoadedVariant, type LoadOptions, loadModels, type Models, type OnLoadProgress } from './models.ts';

/** What an image is made from beside its params. */
export interface PipelineInputs extends Pick<ImageInputs, 'negativePrompt' | 'source' | 'mask'> {
  /** The models must use a variant that takes LoRAs. */
  loras?: readonly WeightedLora[];
  /** The models must use a variant with its ControlNet. */
  control?: Omit<ControlInput, 'file' | 'name' | 'identity'>;
}

/** Prompt embeddings in the cache; the least recently used one is dropped. */
const KEPT_EMBEDDINGS = 32;

export interface TextToImagePipeline {
  /** Throws `bad_param` for inputs that do not fit together, `cancelled`, `latents_not_finite`, `latents_collapsed`, `picture_not_finite`, `picture_flat`, `engine_out_of_memory` or `engine_failed`. */
  generate(params: TextToImageParams, hooks: PipelineHooks, signal: CancelSignal, inputs?: PipelineInputs): Promise<RgbImage>;
  /** Uses this memory plan and these graphs from the next image on. Throws `engine_out_of_memory` or `engine_failed`. */
  follow(plan: MemoryPlan, variant?: LoadedVariant | null): Promise<void>;
  release(): Promise<void>;
}

/** Loads tokenizer, scheduler settings and graphs; `onProgress` counts them. */
export async function loadTextToImage(compiled: CompiledCheckpoint, options: LoadOptions, onProgress: OnLoadProgress): Promise<TextToImagePipeline> {
  return createTextToImage(compiled, await loadModels(compiled, options, onProgress));
}

/** The pipeline over loaded models, which it releases. */
export function createTextToImage(compiled: CompiledCheckpoint, models: Models): TextToImagePipeline {
  const { tokenizer, denoiser } = models;
  const embeddings = new Map<string, PromptEmbedding>();
  const loraInputs = createLoraInputs();
  const preview = createLatentPreview(compiled.latentChannels, compiled.vaeScale);
  /** Whether the preview was fitted to a finished image; until then each preview decodes a part of its own latents. */
  let hasDecoded = false;

  async function embeddingOf(prompt: string, lora: LoraInputs, signal: CancelSignal): Promise<PromptEmbedding> {
    const key = `${lora.key} ${prompt}`;
    const known = embeddings.get(key);
    const embedding = known ?? (await denoiser.refine(await models.encode(tokenizer.encodePrompt(prompt).ids, signal), signal, lora.captionRefiner));
    embeddings.delete(key);
    embeddings.set(key, embedding);
    if (embeddings.size > KEPT_EMBEDDINGS) embeddings.delete(embeddings.keys().next().value ?? '');
    return embedding;
  }

  /** What the image would be if the last forward were right to the end: one pixel a latent pixel. `tokens` are those latents, patched. */
  async function previewOf(tokens: Float32Array, { width, height }: LatentSize, params: TextToImageParams, signal: CancelSignal): Promise<RgbImage> {
    const { latentChannels: channels, vaeScale } = compiled;
    const latents = unpatchify(tokens, channels, height, width, compiled.patchSize);
    if (!hasDecoded) {
      // what the early steps lead to is blurred, so a fit to it does not last
      const part = middleOf(latents, channels, height, width);
      preview.fit(part.latents, await models.decode(part.latents, part.width, part.height, signal), part.height, part.width);
    }
    return cropped(preview.render(latents, height, width), Math.round(params.width / vaeScale), Math.round(params.height / vaeScale));
  }

  async function generate(params: TextToImageParams, hooks: PipelineHooks, signal: CancelSignal, inputs: PipelineInputs = {}): Promise<RgbImage> {
    assertNotCancelled(signal);
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
      // loading the VAE just for a first preview is too slow; the finished image fits the map
      if (hooks.onPreview && (hasDecoded || models.keepsDecoder())) {
        const end = eulerStep(latents, output, sigma); // a step over all that is left
        hooks.onPreview(i + 1 - first, await previewOf(end, size, params, signal));
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
    preview.fit(plain, planes, height, width);
    hasDecoded = true;
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

function controlScale(control: Omit<ControlInput, 'file' | 'name' | 'identity'>, forward: number, forwards: number): OrtInputs {
  return { control_scale: { data: Float32Array.of(isControlled(control, forward, forwards) ? control.scale : 0), shape: [1] } };
}

/** Side of the part that is decoded to fit a preview of the first image: small beside one step of the denoiser, and large enough for the fit. */
const FIRST_SAMPLE_SIDE = 32;

/** At most FIRST_SAMPLE_SIDE squared latent pixels out of the middle of latents [channels, height, width]. */
function middleOf(latents: Float32Array, channels: number, height: number, width: number): { latents: Float32Array; height: number; width: number } {
  const rows = Math.min(height, FIRST_SAMPLE_SIDE);
  const columns = Math.min(width, FIRST_SAMPLE_SIDE);
  const [top, left] = [(height - rows) >> 1, (width - columns) >> 1];
  const part = new Float32Array(channels * rows * columns);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < rows; y++) {
      const from = (channel * height + top + y) * width + left;
      part.set(latents.subarray(from, from + columns), (channel * rows + y) * columns);
    }
  }
  return { latents: part, height: rows, width: columns };
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
function latentSize(compiled: CompiledCheckpoint, params: TextToImageParams): LatentSize {
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
