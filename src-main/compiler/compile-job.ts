import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { commonFolder } from '#main/lib/common-folder.ts';
import type { CompiledGraph, GraphTarget } from '#main/lib/compiled.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { isFloatType } from '#main/lib/widen-floats.ts';
import { freeBytesOf, writeFileDurably } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { COMPILER_VERSION, type Work } from './compile-cache.ts';
import { DerivedWeights, type WrittenWeights } from './derived-weights.ts';
import { GraphBuilder } from './graph/builder.ts';
import { assertCudaKernels } from './graph/cuda-kernels.ts';
import { emulateHalf } from './graph/emulate-half.ts';
import { elementCount, type Graph } from './graph/ir.ts';
import { mapWeights } from './graph/map-weights.ts';
import { graphMemory } from './graph/memory.ts';
import { verifyGraph } from './graph/verify.ts';
import { writeOnnx } from './onnx/writer.ts';
import { numericsOf } from './ops/numerics.ts';
import { Weights } from './ops/weights.ts';
import type { StoredTensor } from './safetensors/header.ts';
import { openCheckpointTensors, type TensorTable } from './safetensors/open-checkpoint-tensors.ts';
import { openSafetensors } from './safetensors/open-safetensors.ts';
import { loadQuantizationConfig, type QuantizationConfig } from './sdnq/quantization-config.ts';

export const compileReportSchema = z.object({
  files: z.array(z.object({ path: z.string(), bytes: z.number(), tensors: z.number() })),
  graphs: z.array(
    z.object({
      name: z.string(),
      nodes: z.number(),
      onnxBytes: z.number(),
      /** Weights used where the checkpoint has them. */
      inPlaceBytes: z.number(),
      /** Weights that had to be written again, and why. */
      unpacked: z.array(z.object({ tensor: z.string(), reason: z.string(), bytes: z.number() })),
    }),
  ),
  milliseconds: z.number(),
});
export type CompileReport = z.infer<typeof compileReportSchema>;

/**
 * Models with at most this many quantized weights are copied as int8 for the CPU, a byte each. The published Z-Image-Turbo is used in place: 6 GB more of disk and
 * memory are not ours to take unasked.
 */
const LARGEST_INT8_COPY = 2 ** 30;
/** A loaded graph may take this share of the model's largest file; beyond it weights stay mapped. With the process around it, that is at most 1.15. */
const LOADED_SHARE = 1.11;

/** The weights of one model, open. */
export interface OpenModel {
  table: TensorTable;
  quantization: QuantizationConfig | null;
  /** Prefix of every name in the file, such as `model.`. */
  prefix: string;
  largestFileBytes: number;
  /** Whether its linear weights are quantized to int8 rows. */
  quantizesFloats: boolean;
  /** Names of the tensors that graphs use so far. */
  used: Set<string>;
}

export interface CompileJobOptions {
  /** Builds and checks the graphs without writing anything or reading weights. */
  isDryRun?: boolean;
  /** Whether models without a quantization are quantized. */
  quantizesFloats?: boolean;
  /** Called with the share of the weights that are done, in percent. */
  onProgress?: (done: number, total: number) => void;
}

export interface GraphOptions {
  /** Whether its linear layers take LoRAs as inputs. */
  takesLoras?: boolean;
  /** What earlier graphs over the same weights have written, to be used instead of a copy. */
  written?: readonly WrittenWeights[];
  /** Another model whose weights the graph has too. */
  second?: OpenModel | null;
}

/** One compilation: opens weights, builds, verifies and writes graphs, and keeps the report. */
export class CompileJob {
  readonly #work: Work;
  readonly #target: GraphTarget;
  readonly #options: CompileJobOptions;
  readonly #startedAt = performance.now();
  readonly #files: CompileReport['files'] = [];
  readonly #graphs: CompileReport['graphs'] = [];
  #usedBytes = 0;
  #percent = -1;

  constructor(work: Work, target: GraphTarget, options: CompileJobOptions = {}) {
    this.#work = work;
    this.#target = target;
    this.#options = options;
  }

  /** A model's folder with its quantization config, if it has one. Throws `disk_full` where there is no room for what has to be quantized. */
  async openModel(dir: string, baseName: string): Promise<OpenModel> {
    const table = await openCheckpointTensors(dir, baseName);
    const largestFileBytes = await this.#list(table);
    // Qwen3ForCausalLM writes `model.` before what Qwen3Model writes bare
    const prefix = table.tensors.has('model.embed_tokens.weight') ? 'model.' : '';
    const quantization = await loadQuantizationConfig(dir);
    const quantizesFloats = this.#options.quantizesFloats === true && quantization === null;
    return { table, quantization, prefix, largestFileBytes, quantizesFloats, used: new Set() };
  }

  /** A single safetensors file without quantization. Throws as `openModel` does where it `quantizesFloats`. */
  async openFile(path: string, quantizesFloats = false): Promise<OpenModel> {
    const { file, tensors } = await openSafetensors(path);
    const table = { dir: path, files: [file], tensors };
    return { table, quantization: null, prefix: '', largestFileBytes: await this.#list(table), quantizesFloats, used: new Set() };
  }

  /**
   * Builds a graph over `model`, verifies it and writes `NAME.onnx` and, if some weights cannot be used in place, `NAME.weights`. `build` is also given the
   * weights of `options.second`.
   */
  async graph(
    name: string,
    model: OpenModel,
    build: (graph: GraphBuilder, weights: Weights, second: Weights | null) => Promise<Graph>,
    options: GraphOptions = {},
  ): Promise<CompiledGraph> {
    const { writeDir, finalDir } = this.#work;
    const { isDryRun = false } = this.#options;
    const { second = null, takesLoras = false, written } = options;
    const derived = new DerivedWeights(isDryRun ? null : join(writeDir, `${name}.weights`), join(finalDir, `${name}.weights`), written);
    const weightsOf = (opened: OpenModel): Weights => {
      const copiesInt8 = quantizedElements(opened.table) <= LARGEST_INT8_COPY;
      const onUse = (tensor: StoredTensor): void => this.#use(opened, tensor);
      return new Weights({ ...opened, derived, numerics: numericsOf[this.#target], copiesInt8, onUse });
    };
    const quantized = [...(written === undefined ? [model] : []), ...(second ? [second] : [])].filter(({ quantizesFloats }) => quantizesFloats);
    if (!isDryRun) for (const { table } of quantized) await this.#assertRoom(table);
    let graph: Graph;
    try {
      graph = await build(new GraphBuilder(name), weightsOf(model).with({ takesLoras }), second && weightsOf(second));
    } finally {
      await derived.finish();
    }
    let types = verifyGraph(graph);
    graph = mapWeights(graph, graphMemory(graph, types).loadedBytes, LOADED_SHARE * (model.largestFileBytes + (second?.largestFileBytes ?? 0)));
    if (this.#target.startsWith('gpu-')) assertCudaKernels(graph, types);
    if (this.#target.startsWith('emulated-')) {
      graph = emulateHalf(graph, types);
      types = verifyGraph(graph);
    }
    const files = [...new Set(graph.initializers.flatMap(({ data }) => (data.kind === 'file' ? [data.path] : [])))];
    const weightsDir = files.length === 0 ? finalDir : commonFolder(files);
    if (weightsDir === null) {
      const path = model.table.dir;
      throw new AppError('checkpoint_unsupported', `${path} and ${finalDir} are on different drives; put the data folder on the drive of the checkpoint.`, {
        path,
      });
    }
    const onnx = writeOnnx(graph, weightsDir, String(COMPILER_VERSION));
    if (!isDryRun) await writeFileDurably(join(writeDir, `${name}.onnx`), onnx);
    const inPlace = graph.initializers.flatMap(({ data }) => (data.kind === 'file' && data.path !== derived.path ? [data.byteLength] : []));
    this.#graphs.push({
      name,
      nodes: graph.nodes.length,
      onnxBytes: onnx.byteLength,
      inPlaceBytes: inPlace.reduce((a, b) => a + b, 0),
      unpacked: derived.unpacked,
    });
    return { onnxPath: join(finalDir, `${name}.onnx`), weightsDir, memory: graphMemory(graph, types, this.#target.startsWith('gpu-')) };
  }

  /**
   * Throws `checkpoint_damaged`, naming a tensor, where the graphs use none of a kind that they need all of: its config says less than the file holds, and
   * the image would be wrong. Other tensors that are not used, such as a head, are ignored.
   */
  assertAllUsed({ table, prefix, used }: OpenModel, needsAll: (name: string) => boolean): void {
    for (const { name, file } of table.tensors.values()) {
      if (used.has(name) || !name.startsWith(prefix) || !needsAll(name.slice(prefix.length)) || name.endsWith('.inv_freq')) continue;
      const sentence = `${file}: the tensor ${quoteValue(name)} has no place in the model that config.json describes; the config or the file is wrong.`;
      throw new AppError('checkpoint_damaged', sentence, { path: file });
    }
  }

  report(): CompileReport {
    this.#options.onProgress?.(100, 100);
    return { files: this.#files, graphs: this.#graphs, milliseconds: performance.now() - this.#startedAt };
  }

  #use({ used }: OpenModel, { name, byteLength }: StoredTensor): void {
    if (used.has(name)) return;
    used.add(name);
    this.#usedBytes += byteLength;
    const total = this.#files.reduce((sum, { bytes }) => sum + bytes, 0);
    const percent = Math.min(99, Math.floor((100 * this.#usedBytes) / total));
    if (percent > this.#percent) this.#options.onProgress?.(percent, 100);
    this.#percent = percent;
  }

  /** Before a pass that may take minutes: a byte for each value of a linear weight. */
  async #assertRoom({ tensors }: TensorTable): Promise<void> {
    const neededBytes = linearElements(tensors.values());
    const freeBytes = await freeBytesOf(this.#work.writeDir);
    if (freeBytes >= neededBytes) return;
    const sizes = `${Math.ceil(neededBytes / 1e6)} MB are needed, ${Math.floor(freeBytes / 1e6)} MB are free`;
    const sentence = `The disk that holds ${this.#work.writeDir} has no room to quantize this checkpoint: ${sizes}. Free some space and try again.`;
    throw new AppError('disk_full', sentence, { neededBytes, freeBytes });
  }

  /** Keeps the files for the report; bytes of the largest. */
  async #list(table: TensorTable): Promise<number> {
    const listed: CompileReport['files'] = [];
    for (const path of table.files) {
      const tensors = [...table.tensors.values()].filter((tensor) => tensor.file === path).length;
      listed.push({ path, bytes: (await stat(path)).size, tensors });
    }
    this.#files.push(...listed);
    return Math.max(...listed.map(({ bytes }) => bytes));
  }
}

/** Elements of all weights that have a scale; packs of more than 4 bits count as bytes. */
function quantizedElements({ tensors }: TensorTable): number {
  let count = 0;
  for (const [name, { dtype, shape, byteLength }] of tensors) {
    if (!name.endsWith('.weight') || !tensors.has(name.replace(/weight$/, 'scale'))) continue;
    count += dtype === 'U8' && shape.length === 1 ? 2 * byteLength : byteLength;
  }
  return count;
}

/** Elements of all unquantized linear weights; a table of embeddings is not one. */
export function linearElements(tensors: Iterable<StoredTensor>): number {
  let count = 0;
  for (const { name, dtype, shape } of tensors) {
    if (/\.weight$/.test(name) && shape.length === 2 && isFloatType(dtype) && !/(embed_tokens|lm_head)\.weight$/.test(name)) count += elementCount(shape) ?? 0;
  }
  return count;
}
