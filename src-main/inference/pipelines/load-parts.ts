import { dirname } from 'node:path';
import type { CompiledCheckpoint, CompiledGraph, CompiledPart, DenoiserVariant } from '#main/lib/compiled.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { createSession as createOrtSession } from '../ort.ts';
import type { CreateSession, Session, SessionOptions } from '../session.ts';
import { createSessionPool } from './session-pool.ts';

export interface LoadOptions<Compiled extends CompiledCheckpoint = CompiledCheckpoint> extends SessionOptions {
  /** How the parts share memory; all of them stay loaded without it. */
  memory?: MemoryPlan;
  /** The same checkpoint compiled for the CPU, for plans that move a part of a card's there. */
  compiledForCpu?: () => Promise<Compiled>;
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

/** The graphs of a checkpoint as sessions. */
export interface LoadedParts<Part extends string> {
  session(part: Part): Session;
  /** Whether the part stays loaded when another one runs. */
  keeps(part: Part): boolean;
  /** The graphs in use instead of the checkpoint's own. */
  variant(): DenoiserVariant | null;
  /** Shares memory in another way, and uses these graphs, from now on. Graphs that are in use already stay loaded. */
  follow(plan: MemoryPlan, variant?: LoadedVariant | null): Promise<void>;
  release(): Promise<void>;
}

/** Runs of a smaller graph need little memory, and allocating it again would be a noticeable part of their time. */
const SMALL_GRAPH_BYTES = 1e8;

/** Loads what the memory plan keeps; the other parts are loaded when they run. */
export async function loadParts<Compiled extends CompiledCheckpoint>(
  compiled: Compiled,
  options: LoadOptions<Compiled>,
  onProgress: OnLoadProgress,
): Promise<LoadedParts<keyof Compiled['parts'] & string>> {
  type Part = keyof Compiled['parts'] & string;
  const plan = options.memory ?? 'resident';
  let variant = options.variant ?? null;
  const { createSession = createOrtSession } = options;
  const entriesOf = ({ parts }: Compiled): [Part, CompiledPart | null][] => Object.entries(parts) as [Part, CompiledPart | null][];
  const roles = new Map(entriesOf(compiled).flatMap(([name, part]) => (part === null ? [] : [[name, part.role] as const])));
  const graphsOf = (replaced: DenoiserVariant | null): Readonly<Record<string, CompiledGraph>> => replaced?.graphs ?? {};
  const pool = createSessionPool<Part>(
    roles,
    async (name, place) => {
      const onCpu = place === 'cpu' && options.compiledForCpu;
      const replaced = graphsOf(variant && (onCpu && variant.forCpu ? await variant.forCpu() : variant.graphs))[name];
      const graph = replaced ?? new Map(entriesOf(onCpu ? await onCpu() : compiled)).get(name)?.graph;
      if (graph === undefined) throw new Error(`${compiled.identity} has no part ${name}.`);
      const runsSeldom = name !== 'denoiser' && graph.memory.loadedBytes > SMALL_GRAPH_BYTES;
      return createSession(graph, onCpu ? { threads: options.threads, runsSeldom } : { ...options, runsSeldom });
    },
    plan,
  );
  onProgress(0, 1);
  await pool.follow(plan, onProgress);
  return {
    session: (part) => {
      if (roles.has(part)) return pool.session(part);
      const path = dirname(compiled.tokenizerDir);
      throw new AppError('checkpoint_unsupported', `The VAE of ${path} has no encoder, so no image can start from another. Use another checkpoint.`, { path });
    },
    keeps: pool.keeps,
    variant: () => variant?.graphs ?? null,
    follow: async (memory, next = null) => {
      if (next?.graphs !== variant?.graphs) {
        const replaced = new Set([...Object.keys(graphsOf(next?.graphs ?? null)), ...Object.keys(graphsOf(variant?.graphs ?? null))]);
        for (const part of roles.keys()) if (replaced.has(part)) await pool.session(part).release();
      }
      variant = next;
      await pool.follow(memory);
    },
    release: pool.release,
  };
}
