import { type CompiledKlein, MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import type { CancelSignal } from '../cancel.ts';
import { kleinPositions, type TokenGrid } from '../klein-positions.ts';
import { createRecentlyUsed } from '../recently-used.ts';
import { type RotaryTables, rotaryTables } from '../rotary.ts';
import { loadSchedulerConfig } from '../schedulers/flow-match-euler.ts';
import type { OrtTensor } from '../session.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer.ts';
import { assertFinite } from '../validate-latents.ts';
import { denormalize, unpatchifyKlein } from './klein-latents.ts';
import { type LoadedParts, type LoadOptions, loadParts, type OnLoadProgress } from './load-parts.ts';

/** Below every score; finite, since -Infinity less itself is no number. */
const HIDDEN = -3e4;

/** The text as the denoiser sees it, [MAX_PROMPT_TOKENS, width]. */
export type PromptEmbedding = OrtTensor;

/** One job's forwards: one size, one prompt, the same references. */
export interface KleinRun {
  /** Image tokens [imageTokens, channels] at the noise level of step `step` -> velocity of the same shape. */
  forward(image: Float32Array, step: number, signal: CancelSignal): Promise<Float32Array>;
}

export interface KleinReference extends TokenGrid {
  /** [rows * columns, channels], normalized. */
  tokens: Float32Array;
}

/** What a job's forwards share. */
export interface KleinRunOptions {
  image: TokenGrid;
  references: readonly KleinReference[];
  prompt: PromptEmbedding;
  /** [steps, modulation width] */
  modulation: Float32Array;
  steps: number;
}

/** The parts of a klein checkpoint, loaded. */
export interface KleinModels extends Pick<LoadedParts<keyof CompiledKlein['parts']>, 'follow' | 'release'> {
  tokenizer: Tokenizer;
  /** The prompt's padded embedding [MAX_PROMPT_TOKENS, text width]. */
  encode(prompt: string, signal?: CancelSignal): Promise<Float32Array>;
  embed(textEmbedding: Float32Array, signal?: CancelSignal): Promise<PromptEmbedding>;
  /** Noise levels, one a step -> all that depends on them, [steps, modulation width]. */
  modulate(sigmas: Float32Array, signal?: CancelSignal): Promise<Float32Array>;
  prepare(options: KleinRunOptions): KleinRun;
  /** Planes [3, height, width] from -1 to 1 -> means of the VAE's posterior [latent channels, height / scale, width / scale]. */
  encodeImage(planes: Float32Array, width: number, height: number, signal?: CancelSignal): Promise<Float32Array>;
  /** Normalized tokens -> planes [3, height, width], about -1 to 1. Throws `picture_not_finite`. */
  decode(tokens: Float32Array, grid: TokenGrid, signal?: CancelSignal): Promise<Float32Array>;
  keepsDecoder(): boolean;
}

export async function loadKleinModels(compiled: CompiledKlein, options: LoadOptions<CompiledKlein>, onProgress: OnLoadProgress): Promise<KleinModels> {
  const tokenizer = await loadTokenizer(compiled.tokenizerDir, compiled.architecture);
  await loadSchedulerConfig(compiled.schedulerDir, true);
  const parts = await loadParts(compiled, options, onProgress);
  const { latentChannels, patchSize } = compiled;
  const channels = latentChannels * patchSize ** 2;
  const recentTables = createRecentlyUsed<RotaryTables>(1);

  return {
    tokenizer,
    async encode(prompt, signal) {
      const { ids } = tokenizer.encodePrompt(prompt);
      const padded = new BigInt64Array(MAX_PROMPT_TOKENS).fill(BigInt(tokenizer.padId()));
      padded.set(ids.map(BigInt));
      const inputs = { input_ids: { data: padded, shape: [MAX_PROMPT_TOKENS] }, attention_bias: paddingBias(ids.length) };
      const { text_embedding: embedding } = await parts.session('textEncoder').run(inputs, signal);
      return embedding as Float32Array;
    },
    async embed(embedding, signal) {
      const shape = [MAX_PROMPT_TOKENS, embedding.length / MAX_PROMPT_TOKENS];
      const { text } = await parts.session('prompt').run({ text_embedding: { data: embedding, shape } }, signal);
      return { data: text as Float32Array, shape: [MAX_PROMPT_TOKENS, (text as Float32Array).length / MAX_PROMPT_TOKENS] };
    },
    async modulate(sigmas, signal) {
      const { modulation } = await parts.session('modulation').run({ times: { data: sigmas, shape: [sigmas.length, 1] } }, signal);
      return modulation as Float32Array;
    },
    prepare({ image, references, prompt, modulation, steps }) {
      const imageTokens = image.rows * image.columns;
      const tokens = [image, ...references].reduce((sum, { rows, columns }) => sum + rows * columns, 0);
      const sizes = JSON.stringify([image, ...references].map(({ rows, columns }) => [rows, columns]));
      const tables = recentTables(sizes, async () => rotaryTables(compiled.rope, kleinPositions(image, references), (angle) => angle));
      const imageEnd = { data: BigInt64Array.of(BigInt(MAX_PROMPT_TOKENS + imageTokens)), shape: [1] };
      const width = modulation.length / steps;
      let turned: { cos: OrtTensor; sin: OrtTensor } | null = null; // the same objects in every step: bound once
      return {
        async forward(latents, step, signal) {
          turned ??= tensorsOf(await tables);
          // joined again for each step: a device may keep the last tensor, and only the image moves
          const sequence = new Float32Array(tokens * channels);
          sequence.set(latents);
          let end = latents.length;
          for (const reference of references) {
            sequence.set(reference.tokens, end);
            end += reference.tokens.length;
          }
          const inputs = {
            ...{ text: prompt, image_end: imageEnd, ...turned },
            tokens: { data: sequence, shape: [tokens, channels] },
            modulation: { data: modulation.slice(step * width, (step + 1) * width), shape: [width] },
          };
          const { velocity } = await parts.session('denoiser').run(inputs, signal);
          return velocity as Float32Array;
        },
      };
    },
    async encodeImage(planes, width, height, signal) {
      const { moments } = await parts.session('vaeEncoder').run({ image: { data: planes, shape: [1, 3, height, width] } }, signal);
      assertFinite(moments as Float32Array);
      return (moments as Float32Array).subarray(0, (moments as Float32Array).length / 2);
    },
    async decode(tokens, { rows, columns }, signal) {
      const latents = unpatchifyKlein(denormalize(tokens, compiled.latentNorm), latentChannels, { rows, columns }, patchSize);
      const shape = [1, latentChannels, rows * patchSize, columns * patchSize];
      const { image } = await parts.session('vaeDecoder').run({ latents: { data: latents, shape } }, signal);
      assertFinite(image as Float32Array);
      return image as Float32Array;
    },
    keepsDecoder: () => parts.keeps('vaeDecoder'),
    follow: parts.follow,
    release: parts.release,
  };
}

/** What is added to the scores [1, 1, tokens, tokens]: a token sees real tokens up to itself; padding sees all real tokens, and no padding, not even itself. */
export function paddingBias(realTokens: number): OrtTensor {
  const data = new Float32Array(MAX_PROMPT_TOKENS ** 2);
  for (let row = 0; row < MAX_PROMPT_TOKENS; row++) data.fill(HIDDEN, row * MAX_PROMPT_TOKENS + Math.min(row + 1, realTokens), (row + 1) * MAX_PROMPT_TOKENS);
  return { data, shape: [1, 1, MAX_PROMPT_TOKENS, MAX_PROMPT_TOKENS] };
}

function tensorsOf({ cos, sin, rows, width }: RotaryTables): { cos: OrtTensor; sin: OrtTensor } {
  return { cos: { data: cos, shape: [rows, width] }, sin: { data: sin, shape: [rows, width] } };
}
