import type { CompiledZImage, DenoiserVariant } from '#main/lib/compiled.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import type { CancelSignal } from '../cancel.ts';
import { loadSchedulerConfig } from '../schedulers/flow-match-euler.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer.ts';
import { assertFinite } from '../validate-latents.ts';
import { createDenoiser, type Denoiser } from './denoiser.ts';
import { type LoadedVariant, type LoadOptions, loadParts, type OnLoadProgress } from './load-parts.ts';

/** The parts of a Z-Image checkpoint, loaded. */
export interface Models {
  tokenizer: Tokenizer;
  /** Static shift of the scheduler's sigmas. */
  shift: number;
  denoiser: Denoiser;
  /** Token ids [tokens] -> text embedding [tokens, captionWidth]. */
  encode(ids: readonly number[], signal?: CancelSignal): Promise<Float32Array>;
  /** Latents [channels, height, width] as the transformer leaves them -> planes [3, scale * height, scale * width], about -1 to 1. Throws `picture_not_finite`. */
  decode(latents: Float32Array, width: number, height: number, signal?: CancelSignal): Promise<Float32Array>;
  /** Planes [3, scale * height, scale * width] from -1 to 1 -> moments [2 * channels, height, width]: means, then log variances, neither scaled nor shifted. */
  encodeImage(planes: Float32Array, width: number, height: number, signal?: CancelSignal): Promise<Float32Array>;
  /** Whether `decode` finds its graph loaded, and leaves the others where they are. */
  keepsDecoder(): boolean;
  /** The graphs in use instead of the checkpoint's own. */
  variant(): DenoiserVariant | null;
  /** Shares memory in another way, and uses these graphs, from now on. Graphs that are in use already stay loaded. */
  follow(plan: MemoryPlan, variant?: LoadedVariant | null): Promise<void>;
  release(): Promise<void>;
}

export async function loadModels(compiled: CompiledZImage, options: LoadOptions<CompiledZImage>, onProgress: OnLoadProgress): Promise<Models> {
  const tokenizer = await loadTokenizer(compiled.tokenizerDir);
  const { shift } = await loadSchedulerConfig(compiled.schedulerDir);
  const parts = await loadParts(compiled, options, onProgress);
  const [textEncoder, vaeDecoder] = [parts.session('textEncoder'), parts.session('vaeDecoder')];

  return {
    tokenizer,
    shift,
    denoiser: createDenoiser(compiled, parts.session('captionRefiner'), parts.session('denoiser')),
    encode: async (ids, signal) => {
      const inputIds = { data: BigInt64Array.from(ids, (id) => BigInt(id)), shape: [ids.length] };
      const { text_embedding: embedding } = await textEncoder.run({ input_ids: inputIds }, signal);
      return embedding as Float32Array;
    },
    decode: async (latents, width, height, signal) => {
      const scaled = new Float32Array(latents.length);
      for (let i = 0; i < scaled.length; i++) scaled[i] = (latents[i] ?? 0) / compiled.vaeScalingFactor + compiled.vaeShiftFactor;
      const { image } = await vaeDecoder.run({ latents: { data: scaled, shape: [1, compiled.latentChannels, height, width] } }, signal);
      assertFinite(image as Float32Array);
      return image as Float32Array;
    },
    encodeImage: async (planes, width, height, signal) => {
      const { vaeScale } = compiled;
      const { moments } = await parts.session('vaeEncoder').run({ image: { data: planes, shape: [1, 3, height * vaeScale, width * vaeScale] } }, signal);
      assertFinite(moments as Float32Array);
      return moments as Float32Array;
    },
    keepsDecoder: () => parts.keeps('vaeDecoder'),
    variant: parts.variant,
    follow: parts.follow,
    release: parts.release,
  };
}
