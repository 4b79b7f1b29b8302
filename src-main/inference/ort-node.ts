import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { GraphFiles } from '#main/lib/compiled.ts';
import { float32FromFloat16 } from '#main/lib/widen-floats.ts';
import { type CreateSession, type NativeSession, type OrtTensor, runtimeError, type SessionOptions, SPIN_US, serializeRuns } from './session.ts';

/** Sessions of the package `onnxruntime-node`. Loading and running block the thread. */
export const createNodeSession: CreateSession = async (graph, options) => {
  try {
    return serializeRuns(graph, await loadSession(graph, options));
  } catch (cause) {
    throw runtimeError(graph, explained(cause));
  }
};

/** The package refuses by number what it cannot hand out: 16 is bfloat16. */
function explained(cause: unknown): unknown {
  const number = cause instanceof Error ? /^Unsupported data type: (\d+)/.exec(cause.message)?.[1] : undefined;
  if (number === undefined) return cause;
  const sentence = `an input or output is of element type ${number}${number === '16' ? ' (bfloat16)' : ''}, which onnxruntime-node cannot pass; the C API can: leave --binding out or say c-api`;
  return new Error(sentence, { cause });
}

async function loadSession(graph: GraphFiles, options: SessionOptions): Promise<NativeSession> {
  const session = await InferenceSession.create(await readFile(graph.onnxPath), {
    executionProviders: [executionProvider(options)],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    extra: { session: { model_external_initializers_file_folder_path: graph.weightsDir, intra_op: { spin_duration_us: String(SPIN_US) } } },
  });
  return {
    inputNames: session.inputNames,
    run: async (inputs) => {
      const outputs = await session.run(Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, toOrt(tensor)])));
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, floatsOf(name, tensor)]));
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

function floatsOf(name: string, tensor: Tensor): Float32Array {
  const { data, type } = tensor;
  if (data instanceof Float32Array) return data;
  if (type !== 'float16' || !ArrayBuffer.isView(data)) throw new Error(`output ${name} is ${type}; it is to be built as float32 or float16`);
  // a Float16Array where JavaScript has one
  return float32FromFloat16(new Uint16Array(data.buffer, data.byteOffset, data.length));
}
