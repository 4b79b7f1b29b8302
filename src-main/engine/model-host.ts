import type { VariantRequest } from '#main/compiler/compile.ts';
import type { LoadedLora } from '#main/compiler/lora/load-lora.ts';
import { assertNotCancelled, type CancelSignal } from '#main/inference/cancel.ts';
import type { CudaChoices } from '#main/inference/cuda-options.ts';
import { providerNamed } from '#main/inference/devices.ts';
import { arenaBytesFor, type FreeMemory, type MemoryDecision, memoryNeeds, planMemory, tilePixelsFor } from '#main/inference/memory-plan.ts';
import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import type { ImagePipeline } from '#main/inference/pipelines/image-pipeline.ts';
import type { LoadedVariant } from '#main/inference/pipelines/load-parts.ts';
import type { WeightedLora } from '#main/inference/pipelines/lora-inputs.ts';
import type { CompiledCheckpoint, CompiledUpscaler, DenoiserVariant, GraphTarget, LoraTarget } from '#main/lib/compiled.ts';
import type { ImageInputs } from '#main/lib/image-inputs.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { type DeviceName, deviceParts, type OrtBinding } from '#shared/domain/device.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { type Size, usedPartOf } from '#shared/domain/reference.ts';
import { graphTarget } from './graph-target.ts';
import type { RunHooks } from './model-runner.ts';
import type { GenerateRequest, UpscaleRequest, WorkerConfig } from './protocol.ts';

type OnProgress = (done: number, total: number) => void;

interface RunOptions {
  threads: number;
  /** ONNX Runtime's name of an execution provider. */
  provider: string;
  card: number;
  binding: OrtBinding;
  cuda: CudaChoices;
}

interface CompileRequest {
  cacheDir: string;
  identity: string;
  target: GraphTarget;
  /** Called with a sentence when compiled graphs were damaged and were compiled again. */
  onDamaged?: (sentence: string) => void;
}

interface MemoryOptions {
  memory: MemoryPlan;
  compiledForCpu(): Promise<CompiledCheckpoint>;
  variant: LoadedVariant | null;
}

type Pipeline = Pick<ImagePipeline, 'generate' | 'follow'>;

interface Upscale {
  readonly largestTilePixels: number;
  upscale(image: RgbImage, hooks: PipelineHooks, signal: CancelSignal, options: { tilePixels: number; scale: number }): Promise<RgbImage>;
}

/** What the compiler and the pipelines do for the engine. */
export interface ModelLoaders {
  /** `roomBytes` is the free memory of the device: an unquantized checkpoint that does not fit is quantized. */
  compileCheckpoint(request: CompileRequest & { checkpointDir: string; roomBytes: number | null }, onProgress: OnProgress): Promise<CompiledCheckpoint>;
  compileUpscaler(request: CompileRequest & { path: string }, onProgress: OnProgress): Promise<CompiledUpscaler>;
  compileVariant(
    request: CompileRequest & VariantRequest & { checkpointDir: string; roomBytes: number | null; base: CompiledCheckpoint },
    onProgress: OnProgress,
  ): Promise<DenoiserVariant>;
  /** Throws `lora_unsupported`, `checkpoint_missing` or `checkpoint_damaged`. */
  loadLora(path: string, identity: string, targets: readonly LoraTarget[]): Promise<LoadedLora>;
  loadPipeline(compiled: CompiledCheckpoint, options: RunOptions & MemoryOptions, onProgress: OnProgress): Promise<Pipeline>;
  loadUpscaler(compiled: CompiledUpscaler, options: RunOptions, onProgress: OnProgress): Promise<Upscale>;
  /** Memory that programs can still have, on this device and beside it. */
  freeMemory(device: DeviceName): Promise<FreeMemory>;
}

const FREE_IS_NEW_MS = 60_000;

/** Holds one checkpoint and one upscaler, compiled and loaded when first asked for, until the process ends. */
export class ModelHost {
  readonly #loaders: ModelLoaders;
  readonly #config: WorkerConfig;
  #pipeline: Held<CompiledCheckpoint, Pipeline> | null = null;
  #upscale: Held<CompiledUpscaler, Upscale> | null = null;
  /** Graphs for the last job that needed some in place of the checkpoint's own. */
  #variant: (LoadedVariant & { key: string }) | null = null;
  #loras: ReadonlyMap<string, LoadedLora> = new Map();
  /** Before this process loaded any checkpoint: the budget of all its plans. */
  #budget: FreeMemory | null = null;
  readonly #now: () => number;
  #lastFree: { atMs: number; free: FreeMemory } | null = null;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(loaders: ModelLoaders, config: WorkerConfig, now: () => number = () => performance.now()) {
    this.#loaders = loaders;
    this.#config = config;
    this.#now = now;
  }

  async generate(request: GenerateRequest, hooks: RunHooks, signal: CancelSignal): Promise<RgbImage> {
    const { checkpointDir, checkpointIdentity: identity, accuracy } = request;
    const key = keyOf(`${accuracy} ${request.memory}`, checkpointDir, identity);
    const held = this.#pipeline && unlessAnother(this.#pipeline, key);
    const compiled = held?.compiled ?? (await this.#compileCheckpoint(request, this.#target(request), hooks, loadingHalf(hooks, 0)));
    assertNotCancelled(signal);
    const variant = await this.#variantFor(request, compiled, hooks);
    const loras = await this.#lorasFor(request, variant, hooks);
    assertNotCancelled(signal);
    const decision = await this.#plan(compiled, variant, request, hooks);
    let model = held?.model;
    if (model === undefined) {
      const choices = { arenaBytes: arenaBytesFor(decision), isTight: decision.plan !== 'resident', isExact: accuracy === 'exact' };
      const compiledForCpu = once(() => this.#compileCheckpoint(request, `cpu-${accuracy}`, hooks, () => {}));
      const options = { ...this.#runOptions(this.#config.device, choices), memory: decision.plan, compiledForCpu, variant };
      model = await this.#loaders.loadPipeline(compiled, options, loadingHalf(hooks, 1));
      this.#pipeline = { key, compiled, model };
      this.#lastFree = null;
    } else await model.follow(decision.plan, variant);
    return model.generate(request.params, hooks, signal, { ...request.inputs, loras });
  }

  async #compileCheckpoint(request: GenerateRequest, target: GraphTarget, hooks: RunHooks, onProgress: OnProgress): Promise<CompiledCheckpoint> {
    return this.#loaders.compileCheckpoint(await this.#compileRequest(request, target, hooks), onProgress);
  }

  async #compileRequest({ checkpointDir, checkpointIdentity }: GenerateRequest, target: GraphTarget, hooks: RunHooks) {
    const { ramBytes, cardBytes } = await this.#freeAtStart();
    const roomBytes = target.startsWith('gpu-') ? cardBytes : ramBytes;
    return { checkpointDir, roomBytes, ...this.#compile(checkpointIdentity, target, hooks) };
  }

  /** The graphs that the request needs in place of the checkpoint's own. */
  async #variantFor(request: GenerateRequest, compiled: CompiledCheckpoint, hooks: RunHooks): Promise<LoadedVariant | null> {
    const { loras = [], control } = request.inputs ?? {};
    const takesLoras = loras.length > 0;
    if (!takesLoras && control === undefined) return null;
    const controlNet = control ? { path: control.file, identity: control.identity } : null;
    const key = JSON.stringify([takesLoras, controlNet]);
    if (this.#variant?.key === key) return this.#variant;
    const compile = async (target: GraphTarget, base: CompiledCheckpoint) =>
      this.#loaders.compileVariant({ ...(await this.#compileRequest(request, target, hooks)), base, takesLoras, controlNet }, () => {});
    const cpu: GraphTarget = `cpu-${request.accuracy}`;
    const forCpu = once(async () => compile(cpu, await this.#compileCheckpoint(request, cpu, hooks, () => {})));
    this.#variant = { key, graphs: await compile(this.#target(request), compiled), forCpu };
    return this.#variant;
  }

  async #lorasFor({ inputs }: GenerateRequest, variant: LoadedVariant | null, hooks: RunHooks): Promise<WeightedLora[]> {
    const loaded = new Map<string, LoadedLora>();
    for (const { file, identity, name } of inputs?.loras ?? []) {
      const lora = this.#loras.get(identity) ?? (await this.#loaders.loadLora(file, identity, variant?.graphs.loraTargets ?? []));
      for (const notice of lora.notices) hooks.onFallback?.(`LoRA ${name}: ${notice}`);
      loaded.set(identity, lora);
    }
    // only for the last job: they can be large
    this.#loras = loaded;
    return (inputs?.loras ?? []).flatMap(({ identity, weight }) => {
      const lora = loaded.get(identity);
      return lora ? [{ lora, weight }] : [];
    });
  }

  #target({ accuracy }: GenerateRequest): GraphTarget {
    return graphTarget(this.#config, accuracy);
  }

  async upscale(request: UpscaleRequest, input: RgbImage, hooks: RunHooks, signal: CancelSignal): Promise<RgbImage> {
    const { upscalerPath: path, upscalerIdentity: identity, accuracy, onCpu } = request;
    const device = onCpu ? 'cpu' : this.#config.device;
    const key = keyOf(`${accuracy} ${device}`, path, identity);
    if (this.#upscale === null) {
      const target = graphTarget({ ...this.#config, device }, accuracy);
      const compiled = await this.#loaders.compileUpscaler({ path, ...this.#compile(identity, target, hooks) }, loadingHalf(hooks, 0));
      assertNotCancelled(signal);
      // its tiles are as large as what is free allows
      const options = this.#runOptions(device, { arenaBytes: null, isTight: false, isExact: accuracy === 'exact' });
      this.#upscale = { key, compiled, model: await this.#loaders.loadUpscaler(compiled, options, loadingHalf(hooks, 1)) };
    }
    const { compiled, model } = unlessAnother(this.#upscale, key);
    const roomPixels = tilePixelsFor(compiled.graph.memory, await this.#freeForTiles(device));
    const tilePixels = Math.min(model.largestTilePixels, roomPixels);
    return model.upscale(input, hooks, signal, { tilePixels, scale: request.scale ?? compiled.scale });
  }

  /** Asks a card at most once a minute and after a checkpoint was loaded: its driver's tool takes up to 200 ms. */
  async #freeForTiles(device: DeviceName): Promise<FreeMemory> {
    const isCard = deviceParts(device).provider === 'cuda';
    if (isCard && this.#lastFree !== null && this.#now() - this.#lastFree.atMs < FREE_IS_NEW_MS) return this.#lastFree.free;
    const free = await this.#loaders.freeMemory(device);
    if (isCard) this.#lastFree = { atMs: this.#now(), free };
    return free;
  }

  async #plan(
    compiled: CompiledCheckpoint,
    variant: LoadedVariant | null,
    { params, inputs, memory }: GenerateRequest,
    hooks: RunHooks,
  ): Promise<MemoryDecision> {
    const needs = memoryNeeds(compiled, params, encodedSizes(params, inputs), variant?.graphs);
    const decision = planMemory(needs, await this.#freeAtStart(), this.#config.device !== 'cpu', memory);
    hooks.onPlanned?.(decision);
    return decision;
  }

  async #freeAtStart(): Promise<FreeMemory> {
    this.#budget ??= await this.#loaders.freeMemory(this.#config.device);
    return this.#budget;
  }

  #compile(identity: string, target: GraphTarget, { onFallback }: RunHooks): CompileRequest {
    return { cacheDir: this.#config.cacheDir, identity, target, ...(onFallback && { onDamaged: onFallback }) };
  }

  #runOptions(device: DeviceName, cuda: CudaChoices): RunOptions {
    const { provider, card } = deviceParts(device);
    const { threads, binding = 'auto' } = this.#config;
    return { threads, provider: providerNamed(provider).ortName, card, binding, cuda };
  }
}

interface Held<Compiled, Model> {
  key: string;
  compiled: Compiled;
  model: Model;
}

/** Of the images that the VAE encodes. */
function encodedSizes(params: Size, { source, control, references = [] }: ImageInputs = {}): Size[] {
  return [...(source || control ? [params] : []), ...references.map((image) => usedPartOf(image).kept)];
}

const HALF = 500;

/** Compiling and loading are one stage to the outside, of 1,000 parts: the first and the second half. */
function loadingHalf(hooks: PipelineHooks, half: 0 | 1): OnProgress {
  return (done, total) => hooks.onProgress('loading', half * HALF + (total > 0 ? Math.floor((HALF * done) / total) : HALF), 2 * HALF);
}

function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

function keyOf(how: string, place: string, identity: string): string {
  return JSON.stringify([how, place, identity]);
}

// sessions leak when they are exchanged, so the supervisor exchanges the process instead; the wrong model must never run in silence
function unlessAnother<Compiled, Model>(held: Held<Compiled, Model>, wanted: string): Held<Compiled, Model> {
  if (held.key !== wanted) throw new Error(`This process holds ${held.key} and was asked for ${wanted}; another model needs another process.`);
  return held;
}
