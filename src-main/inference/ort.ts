import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { CompiledGraph } from '#main/lib/compiled.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** The only door to ONNX Runtime. Its errors leave as `AppError`s: `engine_out_of_memory` or `engine_failed`. */

/** A tensor going in or coming out, row-major. */
export interface OrtTensor {
  data: Float32Array | BigInt64Array | Uint8Array;
  shape: readonly number[];
}

export interface SessionOptions {
  /** Threads inside one operator. */
  threads: number;
  /** ONNX Runtime's name of an execution provider; the CPU without it. */
  provider?: string;
  /** Which of several cards; the first one without it. */
  card?: number;
}

export interface Session {
  /** Runs the graph; `outputs` come back under their names. Blocks this thread for as long as it takes. */
  run(inputs: Readonly<Record<string, OrtTensor>>): Promise<Record<string, Float32Array>>;
  release(): Promise<void>;
}

/** Loads a compiled graph; its weights stay in their files and are mapped from there. */
export async function createSession(graph: CompiledGraph, options: SessionOptions): Promise<Session> {
  const bytes = await readFile(graph.onnxPath);
  const session = await guarded(graph.onnxPath, () =>
    InferenceSession.create(bytes, {
      executionProviders: [executionProvider(options)],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      extra: { session: { model_external_initializers_file_folder_path: graph.weightsDir } },
    }),
  );
  return {
    run: async (inputs) => {
      const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, toOrt(tensor)]));
      const outputs = await guarded(graph.onnxPath, () => session.run(feeds));
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, floatsOf(tensor)]));
    },
    release: () => session.release(),
  };
}

function executionProvider({ provider = 'cpu', card = 0 }: SessionOptions): string | { name: string; deviceId: number } {
  return card === 0 ? provider : { name: provider, deviceId: card };
}

function toOrt({ data, shape }: OrtTensor): Tensor {
  if (data instanceof Float32Array) return new Tensor('float32', data, shape);
  if (data instanceof BigInt64Array) return new Tensor('int64', data, shape);
  return new Tensor('bool', data, shape);
}

function floatsOf(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw new AppError('engine_failed', `ONNX Runtime returned ${tensor.type} where float32 was built.`, {});
}

async function guarded<T>(graph: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (/bad_alloc|failed to allocate|out of memory/i.test(reason)) {
      throw new AppError(
        'engine_out_of_memory',
        `There is not enough memory to run ${graph}. Choose a smaller picture or close other programs.`,
        {},
        { cause },
      );
    }
    throw new AppError('engine_failed', `ONNX Runtime could not run ${graph}: ${reason}`, {}, { cause });
  }
}
