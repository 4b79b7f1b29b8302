import { dirname } from 'node:path';
import type { CompiledCheckpoint, DenoiserVariant } from '#main/lib/compiled.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CancelSignal } from '../cancel.ts';
import { createSession as createOrtSession } from '../ort.ts';
import { loadSchedulerConfig } from '../schedulers/flow-match-euler.ts';
import type { CreateSession, SessionOptions } from '../session.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer.ts';
import { assertFinite } from '../validate-latents.ts';
import { createDenoiser, type Denoiser } from './denoiser.ts';
import { createSessionPool } from './session-pool.ts';

export interface LoadOptions extends SessionOptions {
  /** How the parts share memory; all of them stay loaded without it. */
  memory?: MemoryPlan;
  /** The same checkpoint compiled for the CPU, for plans that move a part of a card's there. */
  compiledForCpu?: () => Promise<CompiledCheckpoint>;
  /** Graphs to use in place of the checkpoint's own. */
  variant?: LoadedVariant | null;
  /** Loads a graph; ONNX Runtime does without it. */
  createSession?: CreateSession;
}

export interface LoadedVariant {
  graphs: DenoiserVariant;
  /** As `compiledForCpu`. */
  forCpu?: () => Promise<DenoiserVariant>;
}

export type OnLoadProgress = (done: number, total: number) => void;

/** The parts of a text-to-image checkpoint, loaded. */
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

function withoutEncoder({ tokenizerDir }: CompiledCheckpoint): AppError {
  const path = dirname(tokenizerDir);
  return new AppError('checkpoint_unsupported', `The VAE of ${path} has no encoder, so no image can start from another. Use another checkpoint.`, { path });
}

/** Runs of a smaller graph need little memory, and allocating it again would be a noticeable part of their time. */
const SMALL_GRAPH_BYTES = 1e8;

export async function loadModels(compiled: CompiledCheckpoint, options: LoadOptions, onProgress: OnLoadProgress): Promise<Models> {
  const tokenizer = await loadTokenizer(compiled.tokenizerDir);
  const { shift } = await loadSchedulerConfig(compiled.schedulerDir);
  const plan = options.memory ?? 'resident';
  let variant = options.variant ?? null;
  const { createSession = createOrtSession } = options;
  const pool = createSessionPool(async (part, place) => {
    const onCpu = place === 'cpu' && options.compiledForCpu;
    const replaced = variant && (onCpu && variant.forCpu ? await variant.forCpu() : variant.graphs);
    const graph = { ...(onCpu ? await onCpu() : compiled), ...replaced }[part];
    if (graph === null) throw withoutEncoder(compiled);
    const runsSeldom = part !== 'denoiser' && graph.memory.loadedBytes > SMALL_GRAPH_BYTES;
    return createSession(graph, onCpu ? { threads: options.threads, runsSeldom } : { ...options, runsSeldom });
  }, plan);
  onProgress(0, 1);
  await pool.follow(plan, onProgress);
  const [textEncoder, vaeEncoder, vaeDecoder] = [pool.session('textEncoder'), pool.session('vaeEncoder'), pool.session('vaeDecoder')];

  return {
    tokenizer,
    shift,
    denoiser: createDenoiser(compiled, pool.session('captionRefiner'), pool.session('denoiser')),
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
      const { moments } = await vaeEncoder.run({ image: { data: planes, shape: [1, 3, height * vaeScale, width * vaeScale] } }, signal);
      assertFinite(moments as Float32Array);
      return moments as Float32Array;
    },
    keepsDecoder: () => pool.keeps('vaeDecoder'),
    variant: () => variant?.graphs ?? null,
    follow: async (memory, next = null) => {
      if (next?.graphs !== variant?.graphs) for (const part of ['captionRefiner', 'denoiser'] as const) await pool.session(part).release();
      variant = next;
      await pool.follow(memory);
    },
    release: pool.release,
  };
}
