import type { CompiledZImage } from '#main/lib/compiled.ts';
import type { CancelSignal } from '../cancel.ts';
import { captionPositions, imagePositions, rotaryTables } from '../rotary.ts';
import type { OrtInputs, OrtTensor, Session } from '../session.ts';

/** Token counts are padded to a multiple of this, with learned tokens that are attended. */
const TOKEN_MULTIPLE = 32;

/** A prompt as the denoiser sees it: [paddedTokens, width], refined. */
export interface PromptEmbedding {
  data: Float32Array;
  paddedTokens: number;
}

/** One forward of the transformer for latents of one size and one prompt. */
export interface DenoiserRun {
  /**
   * Latent tokens [imageTokens, patch width] and the model's time (0 noise, 1 image) -> the model's output, of the same shape. `more` is what a variant takes
   * in this step only.
   */
  forward(latents: Float32Array, time: number, signal?: CancelSignal, more?: OrtInputs): Promise<Float32Array>;
}

export interface Denoiser {
  /** Text embedding [tokens, captionWidth] -> prompt embedding. */
  refine(textEmbedding: Float32Array, signal?: CancelSignal, more?: OrtInputs): Promise<PromptEmbedding>;
  /** For latents of `rows` x `columns` tokens. `more` is what a variant takes beside the inputs of a checkpoint's own graph. */
  prepare(rows: number, columns: number, caption: PromptEmbedding, more?: OrtInputs): DenoiserRun;
}

export function createDenoiser(compiled: CompiledZImage, captionRefiner: Session, denoiser: Session): Denoiser {
  const patchWidth = compiled.patchSize ** 2 * compiled.latentChannels;

  return {
    refine: async (textEmbedding, signal, more = {}) => {
      const tokens = textEmbedding.length / compiled.captionWidth;
      const paddedTokens = paddedCount(tokens);
      const tables = rotaryTables(compiled.rope, captionPositions(paddedTokens));
      const inputs = {
        text_embedding: { data: padRows(textEmbedding, paddedTokens, compiled.captionWidth), shape: [paddedTokens, compiled.captionWidth] },
        caption_pad: padMask(tokens, paddedTokens),
        cos: { data: tables.cos, shape: [tables.rows, tables.width] },
        sin: { data: tables.sin, shape: [tables.rows, tables.width] },
        ...more,
      };
      const { caption } = await captionRefiner.run(inputs, signal);
      return { data: caption as Float32Array, paddedTokens };
    },

    prepare: (rows, columns, caption, more = {}) => {
      const imageTokens = rows * columns;
      const paddedTokens = paddedCount(imageTokens);
      const positions = [...imagePositions(rows, columns, paddedTokens, caption.paddedTokens), ...captionPositions(caption.paddedTokens)];
      const tables = rotaryTables(compiled.rope, positions);
      const fixed: Record<string, OrtTensor> = {
        image_pad: padMask(imageTokens, paddedTokens),
        image_token_count: { data: BigInt64Array.of(BigInt(paddedTokens)), shape: [1] },
        caption: { data: caption.data, shape: [caption.paddedTokens, caption.data.length / caption.paddedTokens] },
        cos: { data: tables.cos, shape: [tables.rows, tables.width] },
        sin: { data: tables.sin, shape: [tables.rows, tables.width] },
        ...more,
      };
      return {
        forward: async (latents, time, signal, perStep = {}) => {
          const inputs = {
            ...fixed, // the same objects in every step: bound once
            latents: { data: padRows(latents, paddedTokens, patchWidth), shape: [paddedTokens, patchWidth] },
            timestep: { data: Float32Array.of(time), shape: [1, 1] },
            ...perStep,
          };
          const { velocity } = await denoiser.run(inputs, signal);
          return (velocity as Float32Array).subarray(0, latents.length);
        },
      };
    },
  };
}

export function paddedCount(tokens: number): number {
  return Math.ceil(tokens / TOKEN_MULTIPLE) * TOKEN_MULTIPLE;
}

export function padRows(values: Float32Array, rows: number, width: number): Float32Array {
  if (values.length === rows * width) return values;
  const out = new Float32Array(rows * width);
  out.set(values);
  return out;
}

/** [rows, 1], true where a row is padding. */
function padMask(used: number, rows: number): OrtTensor {
  return { data: new Uint8Array(rows).fill(1, used), shape: [rows, 1] };
}
