import { readFile } from 'node:fs/promises';
import type { GraphFiles } from '#main/lib/compiled.ts';
import { type FloatType, float32From } from '#main/lib/widen-floats.ts';
import type { CancelSignal } from './cancel.ts';
import { type CudaChoices, cudaOptions } from './cuda-options.ts';
import { addressOf, type OrtApi, openOrtApi } from './ort-api.ts';
import {
  type CreateSession,
  type NativeSession,
  type OrtInputs,
  type OrtTensor,
  runtimeError,
  type SessionOptions,
  SPIN_US,
  serializeRuns,
} from './session.ts';

/** Sessions over ONNX Runtime's C API: a run leaves this thread free and can be stopped in the middle. */

/** https://github.com/microsoft/onnxruntime/blob/v1.30.0/include/onnxruntime/core/session/onnxruntime_c_api.h */
const LOG_ERRORS = 3;
const OPTIMIZE_ALL = 99;
const [ARENA_ALLOCATOR, DEFAULT_MEMORY] = [1, 0];
const elementTypes = { float32: 1, int64: 7, bool: 9 } as const;
/** Types of outputs, with the bytes of an element. */
const outputTypes: Readonly<Record<number, { dtype: FloatType; bytes: number }>> = {
  1: { dtype: 'F32', bytes: 4 },
  10: { dtype: 'F16', bytes: 2 },
  16: { dtype: 'BF16', bytes: 2 },
};

/** How often the signal of a running graph is looked at: its flag is in memory shared with another thread, which sends no event. */
const SIGNAL_PERIOD_MS = 5;

/** ONNX Runtime as this thread has opened it. Its environment is one a process, and lasts as long. */
interface Runtime {
  api: OrtApi;
  env: bigint;
  cpuMemory: bigint;
  allocator: bigint;
  /** Run options of the runs that are on. */
  running: Set<bigint>;
}

/** Throws where the library cannot be loaded. */
export function openApiSessions(): CreateSession {
  const runtime = openRuntime();
  return async (graph, options) => {
    try {
      return serializeRuns(graph, new ApiSession(runtime, await loadSession(runtime, graph, options), runConfigOf(options)));
    } catch (cause) {
      throw runtimeError(graph, cause);
    }
  };
}

function openRuntime(): Runtime {
  const api = openOrtApi();
  const running = new Set<bigint>();
  // the library's own memory goes at exit, and a run must not be in it then
  process.on('exit', () => {
    for (const runOptions of running) api.call('RunOptionsSetTerminate', runOptions);
  });
  return {
    api,
    env: api.read('CreateEnv', LOG_ERRORS, 'studio'),
    cpuMemory: api.read('CreateCpuMemoryInfo', ARENA_ALLOCATOR, DEFAULT_MEMORY),
    allocator: api.read('GetAllocatorWithDefaultOptions'),
    running,
  };
}

/** https://github.com/microsoft/onnxruntime/blob/v1.30.0/include/onnxruntime/core/session/onnxruntime_run_options_config_keys.h */
export function runConfigOf({ provider = 'cpu', card = 0, runsSeldom = false }: SessionOptions): Readonly<Record<string, string>> {
  if (!runsSeldom || (provider !== 'cpu' && provider !== 'cuda')) return {};
  return { 'memory.enable_memory_arena_shrinkage': provider === 'cpu' ? 'cpu:0' : `gpu:${card}` };
}

async function loadSession({ api, env }: Runtime, graph: GraphFiles, options: SessionOptions): Promise<bigint> {
  const bytes = await readFile(graph.onnxPath);
  const sessionOptions = api.read('CreateSessionOptions');
  try {
    api.call('SetIntraOpNumThreads', sessionOptions, options.threads);
    api.call('SetInterOpNumThreads', sessionOptions, 1);
    api.call('SetSessionGraphOptimizationLevel', sessionOptions, OPTIMIZE_ALL);
    api.call('SetSessionLogSeverityLevel', sessionOptions, LOG_ERRORS);
    api.call('AddSessionConfigEntry', sessionOptions, 'session.model_external_initializers_file_folder_path', graph.weightsDir);
    api.call('AddSessionConfigEntry', sessionOptions, 'session.intra_op.spin_duration_us', String(SPIN_US));
    appendProvider(api, sessionOptions, options);
    // the graph is handed over as bytes: no path of it has to be spelled for Windows
    return await api.readAsync('CreateSessionFromArray', [env, addressOf(bytes), bytes.byteLength, sessionOptions], [bytes]);
  } finally {
    api.free('ReleaseSessionOptions', sessionOptions);
  }
}

/** Names of execution providers as `SessionOptionsAppendExecutionProvider` has them. */
const providerNames: Readonly<Record<string, string>> = { dml: 'DML', coreml: 'CoreML', webgpu: 'WebGPU' };

const unlimited: CudaChoices = { arenaBytes: null, isTight: false, isExact: false };

function appendProvider(api: OrtApi, sessionOptions: bigint, { provider = 'cpu', card = 0, cuda = unlimited }: SessionOptions): void {
  if (provider === 'cpu') return;
  if (provider === 'cuda') {
    appendCuda(api, sessionOptions, cudaOptions(card, cuda));
    return;
  }
  const name = providerNames[provider];
  if (name === undefined) throw new Error(`there is no execution provider ${provider}; there are cpu, cuda, ${Object.keys(providerNames).join(', ')}`);
  if (provider === 'dml') api.call('DisableMemPattern', sessionOptions);
  api.call('SessionOptionsAppendExecutionProvider', sessionOptions, name, ...listsOf(card === 0 ? {} : { device_id: String(card) }));
}

/** An option that the provider does not know, or a value that it does not take, is refused by its name. */
function appendCuda(api: OrtApi, sessionOptions: bigint, settings: Readonly<Record<string, string>>): void {
  const cudaOptions = api.read('CreateCUDAProviderOptions');
  try {
    // loads the provider, and unlike the next call names the missing library
    api.call('UpdateCUDAProviderOptions', cudaOptions, ...listsOf(settings));
    api.call('SessionOptionsAppendExecutionProvider_CUDA_V2', sessionOptions, cudaOptions);
  } finally {
    api.free('ReleaseCUDAProviderOptions', cudaOptions);
  }
}

/** Keys, values and their number, as the C API takes them. */
function listsOf(settings: Readonly<Record<string, string>>): [string[], string[], number] {
  return [Object.keys(settings), Object.values(settings), Object.keys(settings).length];
}

class ApiSession implements NativeSession {
  readonly inputNames: readonly string[];
  readonly #outputNames: readonly string[];
  readonly #runtime: Runtime;
  readonly #session: bigint;
  readonly #runConfig: Readonly<Record<string, string>>;
  readonly #binding: bigint;
  /** What the graph reads where it lies: the binding knows the address, this keeps the array. One that comes again is not bound again. */
  readonly #bound = new Map<string, OrtTensor>();

  constructor(runtime: Runtime, session: bigint, runConfig: Readonly<Record<string, string>>) {
    this.#runtime = runtime;
    this.#session = session;
    this.#runConfig = runConfig;
    this.#binding = runtime.api.read('CreateIoBinding', session);
    this.inputNames = this.#names('Input');
    this.#outputNames = this.#names('Output');
  }

  async run(inputs: OrtInputs, signal: CancelSignal | undefined): Promise<Record<string, Float32Array>> {
    const { api, cpuMemory } = this.#runtime;
    try {
      this.#bindInputs(inputs);
      for (const name of this.#outputNames) api.call('BindOutputToDevice', this.#binding, name, cpuMemory);
      await this.#runBound(signal);
      return this.#takeOutputs();
    } catch (cause) {
      api.free('ClearBoundInputs', this.#binding);
      this.#bound.clear();
      throw cause;
    } finally {
      api.free('ClearBoundOutputs', this.#binding);
    }
  }

  async release(): Promise<void> {
    this.#runtime.api.free('ReleaseIoBinding', this.#binding);
    this.#runtime.api.free('ReleaseSession', this.#session);
    this.#bound.clear();
  }

  #names(kind: 'Input' | 'Output'): string[] {
    const { api, allocator } = this.#runtime;
    return Array.from({ length: Number(api.read(`SessionGet${kind}Count`, this.#session)) }, (_, i) => {
      const name = api.read(`SessionGet${kind}Name`, this.#session, i, allocator);
      const text = api.textAt(name);
      api.call('AllocatorFree', allocator, name);
      return text;
    });
  }

  #bindInputs(inputs: OrtInputs): void {
    const { api, cpuMemory } = this.#runtime;
    for (const [name, tensor] of Object.entries(inputs)) {
      if (this.#bound.get(name) === tensor) continue;
      const shape = BigInt64Array.from(tensor.shape, (size) => BigInt(size));
      const { data } = tensor;
      const value = api.read('CreateTensorWithDataAsOrtValue', cpuMemory, data, data.byteLength, shape, shape.length, elementTypeOf(data));
      // the binding has a share in the value, none in the memory
      this.#bound.set(name, tensor);
      try {
        api.call('BindInput', this.#binding, name, value);
      } finally {
        api.free('ReleaseValue', value);
      }
    }
  }

  async #runBound(signal: CancelSignal | undefined): Promise<void> {
    const { api, running } = this.#runtime;
    const runOptions = api.read('CreateRunOptions');
    for (const [key, value] of Object.entries(this.#runConfig)) api.call('AddRunConfigEntry', runOptions, key, value);
    const watch = signal && setInterval(() => signal.cancelled && api.call('RunOptionsSetTerminate', runOptions), SIGNAL_PERIOD_MS);
    running.add(runOptions);
    try {
      await api.callAsync('RunWithBinding', [this.#session, runOptions, this.#binding]);
    } finally {
      clearInterval(watch);
      running.delete(runOptions);
      api.free('ReleaseRunOptions', runOptions);
    }
  }

  #takeOutputs(): Record<string, Float32Array> {
    const { api, allocator } = this.#runtime;
    const count = this.#outputNames.length;
    const counted = new BigUint64Array(1);
    const list = new BigUint64Array(1);
    api.call('GetBoundOutputValues', this.#binding, allocator, list, counted);
    const values = api.pointersAt(list[0] ?? 0n, count);
    try {
      return Object.fromEntries(this.#outputNames.map((name, i) => [name, floatsOf(api, name, values[i] ?? 0n)]));
    } finally {
      for (const value of values) api.free('ReleaseValue', value);
      api.call('AllocatorFree', allocator, list[0] ?? 0n);
    }
  }
}

function elementTypeOf(data: OrtTensor['data']): number {
  if (data instanceof Float32Array) return elementTypes.float32;
  return data instanceof BigInt64Array ? elementTypes.int64 : elementTypes.bool;
}

function floatsOf(api: OrtApi, name: string, value: bigint): Float32Array {
  const info = api.read('GetTensorTypeAndShape', value);
  try {
    const number = Number(api.read('GetTensorElementType', info));
    const type = outputTypes[number];
    if (type === undefined)
      throw new Error(`output ${name} is of element type ${number}; outputs are float32 (1), float16 (10) or bfloat16 (16), as they are to be built`);
    const bytes = new Uint8Array(Number(api.read('GetTensorShapeElementCount', info)) * type.bytes);
    if (bytes.length > 0) api.copyInto(bytes, api.read('GetTensorMutableData', value));
    return float32From(type.dtype, bytes);
  } finally {
    api.free('ReleaseTensorTypeAndShapeInfo', info);
  }
}
