import type { CompiledCheckpoint, CompiledGraph } from '#main/lib/compiled.ts';
import type { CancelSignal } from '../cancel.ts';
import { createSession } from '../ort.ts';
import { loadSchedulerConfig } from '../schedulers/flow-match-euler.ts';
import type { Session, SessionOptions } from '../session.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer.ts';
import { assertFinite } from '../watchdog.ts';
import { createDenoiser, type Denoiser } from './denoiser.ts';
import { createSessionSlot } from './session-slot.ts';

export interface LoadOptions extends SessionOptions {
  /** `resident` keeps all graphs loaded; `in_turn` one at a time, which takes less memory and, at each new prompt, the time to load them. */
  memory?: MemoryPlan;
}

export type MemoryPlan = 'resident' | 'in_turn';

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
  release(): Promise<void>;
}

export async function loadModels(compiled: CompiledCheckpoint, options: LoadOptions, onProgress: OnLoadProgress): Promise<Models> {
  const tokenizer = await loadTokenizer(compiled.tokenizerDir);
  const { shift } = await loadSchedulerConfig(compiled.schedulerDir);
  const sessions: Session[] = [];
  const slot = createSessionSlot((graph) => createSession(graph, options));
  const load = async (graph: CompiledGraph): Promise<Session> => {
    const session = options.memory === 'in_turn' ? slot(graph) : await createSession(graph, options);
    sessions.push(session);
    onProgress(sessions.length, 4);
    return session;
  };
  const textEncoder = await load(compiled.textEncoder);
  const captionRefiner = await load(compiled.captionRefiner);
  const denoiser = await load(compiled.denoiser);
  const vaeDecoder = await load(compiled.vaeDecoder);

  return {
    tokenizer,
    shift,
    denoiser: createDenoiser(compiled, captionRefiner, denoiser),
    encode: async (ids, signal) => {
      const inputIds = { data: BigInt64Array.from(ids, (id) => BigInt(id)), shape: [ids.length] };
      const { text_embedding: embedding } = await textEncoder.run({ input_ids: inputIds }, signal);
      return embedding as Float32Array;
    },
    decode: async (latents, width, height, signal) => {
      const scaled = latents.map((value) => value / compiled.vaeScalingFactor + compiled.vaeShiftFactor);
      const { picture } = await vaeDecoder.run({ latents: { data: scaled, shape: [1, compiled.latentChannels, height, width] } }, signal);
      assertFinite(picture as Float32Array);
      return picture as Float32Array;
    },
    release: async () => {
      for (const session of sessions) await session.release();
    },
  };
}
