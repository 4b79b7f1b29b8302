import type { CancelSignal } from '#main/inference/cancel.ts';
import { providerNamed } from '#main/inference/devices.ts';
import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import type { CompiledCheckpoint, CompiledUpscaler, GraphTarget } from '#main/lib/compiled.ts';
import type { Picture } from '#main/lib/picture.ts';
import { deviceParts, type OrtBinding } from '#shared/domain/device.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { GenerateOrder, UpscaleOrder, WorkerConfig } from './channel.ts';
import type { Accuracy } from './engine.ts';

type OnProgress = (done: number, total: number) => void;

interface RunOptions {
  threads: number;
  /** ONNX Runtime's name of an execution provider. */
  provider: string;
  card: number;
  binding: OrtBinding;
  memory?: GenerateOrder['memory'];
}

interface CompileRequest {
  cacheDir: string;
  identity: string;
  target: GraphTarget;
}

interface TextToImage {
  generate(params: TextToImageParams, hooks: PipelineHooks, signal: CancelSignal): Promise<Picture>;
}

interface Upscale {
  upscale(picture: Picture, hooks: PipelineHooks, signal: CancelSignal): Promise<Picture>;
}

/** What the compiler and the pipelines do for the engine. */
export interface ModelLoaders {
  compileCheckpoint(request: CompileRequest & { checkpointDir: string }, onProgress: OnProgress): Promise<CompiledCheckpoint>;
  compileUpscaler(request: CompileRequest & { path: string }, onProgress: OnProgress): Promise<CompiledUpscaler>;
  loadTextToImage(compiled: CompiledCheckpoint, options: RunOptions, onProgress: OnProgress): Promise<TextToImage>;
  loadUpscaler(compiled: CompiledUpscaler, options: RunOptions, onProgress: OnProgress): Promise<Upscale>;
}

/** Holds one checkpoint and one upscaler, compiled and loaded when first asked for, until the process ends. */
export class ModelHost {
  readonly #loaders: ModelLoaders;
  readonly #config: WorkerConfig;
  #textToImage: Held<TextToImage> | null = null;
  #upscale: Held<Upscale> | null = null;

  constructor(loaders: ModelLoaders, config: WorkerConfig) {
    this.#loaders = loaders;
    this.#config = config;
  }

  async generate(order: GenerateOrder, hooks: PipelineHooks, signal: CancelSignal): Promise<Picture> {
    const { checkpointDir, checkpointIdentity: identity, memory } = order;
    const key = keyOf(`${order.accuracy} ${memory}`, checkpointDir, identity);
    this.#textToImage ??= {
      key,
      model: await this.#load(
        hooks,
        signal,
        (onProgress) => this.#loaders.compileCheckpoint({ checkpointDir, ...this.#compile(identity, order.accuracy) }, onProgress),
        (compiled, options, onProgress) => this.#loaders.loadTextToImage(compiled, { ...options, memory }, onProgress),
      ),
    };
    return unlessAnother(this.#textToImage, key).generate(order.params, hooks, signal);
  }

  async upscale(order: UpscaleOrder, input: Picture, hooks: PipelineHooks, signal: CancelSignal): Promise<Picture> {
    const { upscalerPath: path, upscalerIdentity: identity } = order;
    this.#upscale ??= {
      key: keyOf(order.accuracy, path, identity),
      model: await this.#load(
        hooks,
        signal,
        (onProgress) => this.#loaders.compileUpscaler({ path, ...this.#compile(identity, order.accuracy) }, onProgress),
        this.#loaders.loadUpscaler,
      ),
    };
    return unlessAnother(this.#upscale, keyOf(order.accuracy, path, identity)).upscale(input, hooks, signal);
  }

  #compile(identity: string, accuracy: Accuracy): CompileRequest {
    return { cacheDir: this.#config.cacheDir, identity, target: targetOf(this.#config, accuracy) };
  }

  async #load<Compiled, Model>(
    hooks: PipelineHooks,
    signal: CancelSignal,
    compile: (onProgress: OnProgress) => Promise<Compiled>,
    load: (compiled: Compiled, options: RunOptions, onProgress: OnProgress) => Promise<Model>,
  ): Promise<Model> {
    const { provider, card } = deviceParts(this.#config.device);
    const { threads, binding = 'auto' } = this.#config;
    const compiled = await compile(loadingHalf(hooks, 0));
    if (signal.cancelled) throw new AppError('cancelled', 'The task was cancelled.', {});
    return load(compiled, { threads, provider: providerNamed(provider).ortName, card, binding }, loadingHalf(hooks, 1));
  }
}

function targetOf({ device, gpuPrecision = 'fp16' }: WorkerConfig, accuracy: Accuracy): GraphTarget {
  if (device === 'cpu') return `cpu-${accuracy}`;
  return accuracy === 'exact' ? 'gpu-fp32' : `gpu-${gpuPrecision}`;
}

interface Held<Model> {
  key: string;
  model: Model;
}

const HALF = 500;

/** Compiling and loading are one stage to the outside, of 1,000 parts: the first and the second half. */
function loadingHalf(hooks: PipelineHooks, half: 0 | 1): OnProgress {
  return (done, total) => hooks.onProgress('loading', half * HALF + (total > 0 ? Math.floor((HALF * done) / total) : HALF), 2 * HALF);
}

function keyOf(how: string, place: string, identity: string): string {
  return JSON.stringify([how, place, identity]);
}

// sessions leak when they are exchanged, so the supervisor exchanges the process instead; the wrong model must never run in silence
function unlessAnother<Model>({ key, model }: Held<Model>, wanted: string): Model {
  if (key !== wanted) throw new Error(`This process holds ${key} and was asked for ${wanted}; another model needs another process.`);
  return model;
}
