import type { GraphFiles } from '#main/lib/compiled.ts';
import type { OrtBinding } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertNotCancelled, type CancelSignal } from './cancel.ts';
import type { CudaChoices } from './cuda-options.ts';

/** What the pipelines see of ONNX Runtime, whichever binding is between. */

/**
 * How long a thread of an operator looks for work before it sleeps. It bridges the gap to the next operator; ONNX Runtime's own choice is many times as long
 * and takes time from other programs, and on a shared core from the thread that it waits for.
 */
export const SPIN_US = 100;

/** A tensor going in, row-major: float32, int64 or bool by its array. What was handed over once may not change afterwards: a device may have its own copy. */
export interface OrtTensor {
  readonly data: Float32Array | BigInt64Array | Uint8Array;
  readonly shape: readonly number[];
}

export type OrtInputs = Readonly<Record<string, OrtTensor>>;

export interface SessionOptions {
  /** Threads inside one operator. */
  threads: number;
  /** ONNX Runtime's name of an execution provider; the CPU without it. */
  provider?: string;
  /** Which of several cards; the first one without it. */
  card?: number;
  /** On CUDA: options beside the card. The C API alone takes it; all of the card's memory, and TF32, without it. */
  cuda?: CudaChoices;
  /** `auto` without it. */
  binding?: OrtBinding;
  /** Whether the memory of a run on the CPU or on CUDA is given back after it, not kept for the next. `onnxruntime-node` knows no such option, and keeps it. */
  runsSeldom?: boolean;
}

export interface Session {
  /**
   * Runs the graph; its outputs come back under their names as float32, float16 and, by the C API, bfloat16 ones widened. Runs of one session are serialized. Throws `engine_out_of_memory`, `engine_failed` or
   * `cancelled`: the C API is stopped in the middle, `onnxruntime-node` blocks this thread and is stopped before it begins.
   */
  run(inputs: OrtInputs, signal?: CancelSignal): Promise<Record<string, Float32Array>>;
  /** Waits for a run that is on. A second call does nothing; runs after it are refused. */
  release(): Promise<void>;
}

/** Loads a compiled graph; its weights stay in their files and are mapped from there. Throws `engine_out_of_memory` or `engine_failed`. */
export type CreateSession = (graph: GraphFiles, options: SessionOptions) => Promise<Session>;

/** A session as a binding has it. */
export interface NativeSession {
  inputNames: readonly string[];
  /** Whatever it throws becomes ours. */
  run(inputs: OrtInputs, signal: CancelSignal | undefined): Promise<Record<string, Float32Array>>;
  release(): Promise<void>;
}

/** The session of a binding, with what all bindings promise. */
export function serializeRuns(graph: GraphFiles, native: NativeSession): Session {
  /** The last requested run; its caller handles its failure. */
  let last: Promise<unknown> = Promise.resolve();
  let released: Promise<void> | null = null;

  const runNow: Session['run'] = async (inputs, signal) => {
    if (signal) assertNotCancelled(signal);
    assertInputs(graph, native.inputNames, inputs);
    try {
      return await native.run(inputs, signal);
    } catch (cause) {
      if (signal) assertNotCancelled(signal);
      throw runtimeError(graph, cause);
    }
  };

  return {
    run: (inputs, signal) => {
      if (released !== null) {
        return Promise.reject(new AppError('engine_failed', `The session of ${graph.onnxPath} was released and runs no more; load the graph again.`, {}));
      }
      const run = last.then(() => runNow(inputs, signal));
      last = run.catch(() => {});
      return run;
    },
    release: () => {
      released ??= last.then(() => native.release());
      return released;
    },
  };
}

/** Throws unless exactly the graph's inputs are given and each array is as long as its shape says: not every kernel checks. */
function assertInputs(graph: GraphFiles, names: readonly string[], inputs: OrtInputs): void {
  const given = Object.keys(inputs);
  if (given.length !== names.length || names.some((name) => !Object.hasOwn(inputs, name))) {
    throw new AppError('engine_failed', `${graph.onnxPath} takes the inputs ${names.join(', ')}; given were ${given.join(', ') || 'none'}.`, {});
  }
  for (const [name, { data, shape }] of Object.entries(inputs)) {
    const count = shape.reduce((product, size) => product * size, 1);
    if (data.length === count) continue;
    throw new AppError(
      'engine_failed',
      `Input ${name} of ${graph.onnxPath} has the shape [${shape.join(', ')}], ${count} values; given were ${data.length}.`,
      {},
    );
  }
}

/** What ONNX Runtime threw over a graph, as ours. */
export function runtimeError(graph: GraphFiles, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (/bad_alloc|failed to allocate|out of memory|ALLOC_FAILED|smaller than requested/i.test(reason)) {
    const sentence = `There is not enough memory to run ${graph.onnxPath}. Choose a smaller image or close other programs.`;
    return new AppError('engine_out_of_memory', sentence, {}, { cause });
  }
  return new AppError('engine_failed', `ONNX Runtime could not run ${graph.onnxPath}: ${reason}`, { reason }, { cause });
}
