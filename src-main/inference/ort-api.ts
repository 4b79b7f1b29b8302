import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { libraryFolders } from '#main/config/library-folders.ts';

/** The C API of ONNX Runtime, by koffi: what is wrong in a signature here crashes instead of throwing. */

/** The oldest table that has every function below; newer ones only append. */
const API_VERSION = 12;

/**
 * Functions that answer with an `OrtStatus`: place in `OrtApi`, types of the arguments. Places and signatures are of
 * https://github.com/microsoft/onnxruntime/blob/v1.30.0/include/onnxruntime/core/session/onnxruntime_c_api.h
 */
const statusCalls = {
  CreateEnv: [3, 'int', 'str', 'void *'],
  CreateSessionFromArray: [8, 'void *', 'void *', 'size_t', 'void *', 'void *'],
  CreateSessionOptions: [10, 'void *'],
  DisableMemPattern: [17, 'void *'],
  SetSessionLogSeverityLevel: [22, 'void *', 'int'],
  SetSessionGraphOptimizationLevel: [23, 'void *', 'int'],
  SetIntraOpNumThreads: [24, 'void *', 'int'],
  SetInterOpNumThreads: [25, 'void *', 'int'],
  SessionGetInputCount: [30, 'void *', 'void *'],
  SessionGetOutputCount: [31, 'void *', 'void *'],
  SessionGetInputName: [36, 'void *', 'size_t', 'void *', 'void *'],
  SessionGetOutputName: [37, 'void *', 'size_t', 'void *', 'void *'],
  CreateRunOptions: [39, 'void *'],
  RunOptionsSetTerminate: [46, 'void *'],
  CreateTensorWithDataAsOrtValue: [49, 'void *', 'void *', 'size_t', 'void *', 'size_t', 'int', 'void *'],
  GetTensorMutableData: [51, 'void *', 'void *'],
  GetTensorElementType: [60, 'void *', 'void *'],
  GetTensorShapeElementCount: [64, 'void *', 'void *'],
  GetTensorTypeAndShape: [65, 'void *', 'void *'],
  CreateCpuMemoryInfo: [69, 'int', 'int', 'void *'],
  AllocatorFree: [76, 'void *', 'void *'],
  GetAllocatorWithDefaultOptions: [78, 'void *'],
  AddSessionConfigEntry: [130, 'void *', 'str', 'str'],
  RunWithBinding: [133, 'void *', 'void *', 'void *'],
  CreateIoBinding: [134, 'void *', 'void *'],
  BindInput: [136, 'void *', 'str', 'void *'],
  BindOutputToDevice: [138, 'void *', 'str', 'void *'],
  GetBoundOutputValues: [140, 'void *', 'void *', 'void *', 'void *'],
  AddRunConfigEntry: [165, 'void *', 'str', 'str'],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'void *', 'void *'],
  CreateCUDAProviderOptions: [205, 'void *'],
  UpdateCUDAProviderOptions: [206, 'void *', 'const char **', 'const char **', 'size_t'],
  SessionOptionsAppendExecutionProvider: [216, 'void *', 'str', 'const char **', 'const char **', 'size_t'],
} as const satisfies Record<string, readonly [place: number, ...types: string[]]>;

/** Functions that answer nothing. */
const voidCalls = {
  ReleaseStatus: [93],
  ReleaseMemoryInfo: [94],
  ReleaseSession: [95],
  ReleaseValue: [96],
  ReleaseRunOptions: [97],
  ReleaseTensorTypeAndShapeInfo: [99],
  ReleaseSessionOptions: [100],
  ReleaseIoBinding: [135],
  ClearBoundInputs: [141],
  ClearBoundOutputs: [142],
  ReleaseCUDAProviderOptions: [208],
} as const satisfies Record<string, readonly [place: number]>;

export type StatusCall = keyof typeof statusCalls;
type VoidCall = keyof typeof voidCalls;

type NativeFunction = ReturnType<LibraryHandle['func']>;

/** Pointers are bigints. An array is passed by its address, for the length of the call. */
type Argument = bigint | number | string | readonly string[] | NodeJS.TypedArray;

export interface OrtApi {
  /** Throws what the status says. */
  call(name: StatusCall, ...values: Argument[]): void;
  /** The same in a thread of libuv's pool. Memory that `values` point into is kept from being collected by `kept` until it is over. */
  callAsync(name: StatusCall, values: Argument[], kept?: readonly object[]): Promise<void>;
  /** Calls a function whose last argument is where it writes a pointer, size or number of at most 8 bytes; returns that. */
  read(name: StatusCall, ...values: Argument[]): bigint;
  readAsync(name: StatusCall, values: Argument[], kept?: readonly object[]): Promise<bigint>;
  free(name: VoidCall, pointer: bigint): void;
  /** Copies native memory into `target`, all of it. */
  copyInto(target: Uint8Array, source: bigint): void;
  /** A zero-terminated string in native memory. */
  textAt(pointer: bigint): string;
  pointersAt(pointer: bigint, count: number): bigint[];
}

/** Where `array` lies; it stays there, and has to be kept from being collected for as long as the address is used. */
export function addressOf(array: NodeJS.TypedArray): bigint {
  return koffi.address(array);
}

/**
 * Loads ONNX Runtime, the library in `onnxruntime-node` or the CUDA pack's, and looks its functions up. Throws where it cannot be loaded or is too old.
 */
export function openOrtApi(): OrtApi {
  // the default of 128 KiB overflows on real graphs
  koffi.config({ async_stack_size: 8 * 2 ** 20 });
  const path = join(cudaPackDir() ?? packagedLibraryDir(), libraryName());
  const library = koffi.load(path);
  const base: bigint = library.func('OrtGetApiBase', 'void *', [])();
  const [getApi, getVersion] = pointersAt(base, 2);
  const table: bigint | null = koffi.call(getApi, koffi.proto('void *', ['uint32_t']), API_VERSION);
  if (table === null) {
    const version: string = koffi.call(getVersion, koffi.proto('str', []));
    throw new Error(`${path} is ONNX Runtime ${version}; 1.12 or newer is needed.`);
  }

  const function_ = (place: number, result: string, types: readonly string[]): NativeFunction =>
    koffi.decode(pointersAt(table + BigInt(place * POINTER_BYTES), 1)[0], koffi.proto(result, [...types]));
  const statusFunctions = mapValues(statusCalls, ([place, ...types]) => function_(place, 'void *', types));
  const voidFunctions = mapValues(voidCalls, ([place]) => function_(place, 'void', ['void *']));
  const getErrorMessage = function_(2, 'str', ['void *']);
  const copy = memoryCopy(library);
  const inUse = new Set<readonly object[]>();

  function check(status: bigint | null): void {
    if (status === null) return;
    const message: string = getErrorMessage(status);
    voidFunctions.ReleaseStatus(status);
    throw new Error(message);
  }

  const call: OrtApi['call'] = (name, ...values) => check(statusFunctions[name](...values));
  const callAsync: OrtApi['callAsync'] = async (name, values, kept = []) => {
    inUse.add(kept);
    try {
      check(
        await new Promise((resolve, reject) => {
          statusFunctions[name].async(...values, (error: Error | null, status: bigint | null) => (error === null ? resolve(status) : reject(error)));
        }),
      );
    } finally {
      inUse.delete(kept);
    }
  };

  return {
    call,
    callAsync,
    read: (name, ...values) => {
      const cell = new BigUint64Array(1);
      call(name, ...values, cell);
      return cell[0] ?? 0n;
    },
    readAsync: async (name, values, kept = []) => {
      const cell = new BigUint64Array(1);
      await callAsync(name, [...values, addressOf(cell)], [...kept, cell]);
      return cell[0] ?? 0n;
    },
    free: (name, pointer) => voidFunctions[name](pointer),
    copyInto: (target, source) => copy(target, source, target.byteLength),
    textAt: (pointer) => koffi.decode.string(pointer),
    pointersAt,
  };
}

const POINTER_BYTES = 8;

function pointersAt(pointer: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i): bigint => koffi.decode(pointer, i * POINTER_BYTES, 'void *'));
}

function mapValues<Key extends string, From, To>(record: Readonly<Record<Key, From>>, change: (value: From) => To): Record<Key, To> {
  return Object.fromEntries(Object.entries<From>(record).map(([key, value]) => [key, change(value)])) as Record<Key, To>;
}

function memoryCopy(library: LibraryHandle): NativeFunction {
  // a library of Linux or macOS finds what it is linked to itself
  const c = process.platform === 'win32' ? koffi.load('ucrtbase.dll') : library;
  return c.func('memcpy', 'void *', ['void *', 'void *', 'size_t']);
}

function libraryName(): string {
  if (process.platform === 'win32') return 'onnxruntime.dll';
  return process.platform === 'darwin' ? 'libonnxruntime.1.dylib' : 'libonnxruntime.so.1';
}

/** The folder of a CUDA pack, which this process was started with: providers are looked for beside the library. Null without one. */
function cudaPackDir(): string | null {
  const provider = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';
  // the loader takes names alone, but Windows has an onnxruntime.dll of its own
  return libraryFolders().find((folder) => existsSync(join(folder, provider)) && existsSync(join(folder, libraryName()))) ?? null;
}

function packagedLibraryDir(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  // the system's loader reads no archives: in the installed app the library lies beside them
  const packageDir = dirname(dirname(entry)).replace(/\bapp\.asar(?=[\\/])/, 'app.asar.unpacked');
  return join(packageDir, 'bin/napi-v6', process.platform, process.arch);
}
