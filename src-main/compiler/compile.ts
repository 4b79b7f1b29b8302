import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import {
  type CompiledCheckpoint,
  compiledCheckpointSchema,
  compiledUpscalerSchema,
  type DenoiserVariant,
  denoiserVariantSchema,
  type GraphTarget,
} from '#main/lib/compiled.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type Architecture, loadArchitecture } from './architectures.ts';
import { compiledOnce } from './compile-cache.ts';
import { CompileJob, compileReportSchema, linearElements } from './compile-job.ts';
import { ELEMENT_BYTES } from './graph/ir.ts';
import { listUpscalerConvolutions } from './models/upscaler-convolutions.ts';
import { buildUpscaler, describeUpscaler } from './models/upscalers.ts';
import { numericsOf } from './ops/numerics.ts';
import { openCheckpointTensors } from './safetensors/open-checkpoint-tensors.ts';
import { loadQuantizationConfig } from './sdnq/quantization-config.ts';

export interface CompileOptions {
  /** Parent folder of all compiled checkpoints. */
  cacheDir: string;
  /** Hash of the weights' content. */
  identity: string;
  target: GraphTarget;
  /** Free memory of the device. An unquantized model that is larger is quantized to int8; without it none is, but for `cpu-fast`. */
  roomBytes?: number | null;
  /** Called with a sentence when an earlier compilation is damaged and has to be repeated. */
  onDamaged?: (sentence: string) => void;
}

export interface VariantRequest {
  /** Whether the graphs take LoRAs. */
  takesLoras: boolean;
  /** A ControlNet's file and the hash of its content. */
  controlNet: { path: string; identity: string } | null;
}

export type OnCompileProgress = (done: number, total: number) => void;

const checkpointSchema = compiledCheckpointSchema.and(z.object({ report: compileReportSchema }));
const upscalerSchema = compiledUpscalerSchema.extend({ report: compileReportSchema });
export type CheckpointCompilation = z.infer<typeof checkpointSchema>;
export type UpscalerCompilation = z.infer<typeof upscalerSchema>;

/**
 * Compiles a checkpoint folder in Hugging Face layout, or reuses an earlier compilation of the same content.
 * Throws `checkpoint_missing`, `checkpoint_damaged`, `checkpoint_unsupported`, `graph_invalid`, or `disk_full` and its kin; nothing incomplete is left.
 */
export async function compileCheckpoint(options: CompileOptions & { checkpointDir: string }, onProgress: OnCompileProgress): Promise<CheckpointCompilation> {
  const { identity, target } = options;
  const root = await realPathOf(options.checkpointDir);
  const architecture = await loadArchitecture(root);
  const quantizesFloats = await isQuantizedHere(options, root, architecture);
  return cached({ ...options, variant: quantizesFloats ? 'int8 rows' : '' }, root, checkpointSchema, async (work) => {
    const job = new CompileJob(work, target, { quantizesFloats, onProgress });
    const checkpoint = await architecture.compile(root, job, identity);
    return { ...checkpoint, report: job.report() };
  });
}

/**
 * The transformer's graphs of a compiled checkpoint as a variant; it uses the weights of the checkpoint and of `base`, so only the graphs are written.
 * Throws as `compileCheckpoint` does.
 */
export async function compileVariant(
  options: CompileOptions & VariantRequest & { checkpointDir: string; base: CompiledCheckpoint },
  onProgress: OnCompileProgress,
): Promise<DenoiserVariant> {
  const { target } = options;
  const { report, ...base } = checkpointSchema.parse(options.base);
  const root = await realPathOf(options.checkpointDir);
  const architecture = await loadArchitecture(root);
  const { compileVariant: compileGraphs } = architecture;
  if (compileGraphs === null)
    throw new AppError('checkpoint_unsupported', `${root} is of an architecture that takes no LoRA and no ControlNet here.`, { path: root });
  const baseDir = dirname(base.parts.denoiser.graph.onnxPath);
  const written = report.graphs.map(({ name, unpacked }) => ({ path: join(baseDir, `${name}.weights`), unpacked }));
  const quantizesFloats = await isQuantizedHere(options, root, architecture);
  const { takesLoras, controlNet } = options;
  // what is exact stays as the file has it; elsewhere a ControlNet would need more memory than the model
  const isQuantized = target !== 'cpu-exact' && target !== 'gpu-fp32';
  const control = controlNet && { path: await realPathOf(controlNet.path), isQuantized };
  const variant = JSON.stringify(['variant', baseDir, takesLoras, control?.path, controlNet?.identity]);
  return cached({ ...options, variant }, root, denoiserVariantSchema, (work) => {
    const job = new CompileJob(work, target, { quantizesFloats, onProgress });
    return compileGraphs(root, job, { takesLoras, controlNet: control, written });
  });
}

/** Whether the checkpoint has no quantization and gets one here. */
async function isQuantizedHere({ target, roomBytes }: CompileOptions, root: string, architecture: Architecture): Promise<boolean> {
  return target === 'cpu-fast' || (await largestFloatBytes(root, architecture, target)) > ROOM_SHARE * (roomBytes ?? Number.POSITIVE_INFINITY);
}

/** What of the room the weights of one model may take; its runs and the rest of the program take more. */
const ROOM_SHARE = 0.8;

/** Bytes that the largest unquantized model takes once loaded. */
async function largestFloatBytes(root: string, { linearModels }: Architecture, target: GraphTarget): Promise<number> {
  const bytes = linearModels.map(async ({ folder, baseName }) => {
    const dir = join(root, folder);
    if ((await loadQuantizationConfig(dir)) !== null) return 0;
    const { tensors } = await openCheckpointTensors(dir, baseName);
    return ELEMENT_BYTES[numericsOf[target].compute] * linearElements(tensors.values());
  });
  return Math.max(...(await Promise.all(bytes)));
}

/** Compiles an upscaler's safetensors file, or reuses an earlier compilation of the same content. Throws as `compileCheckpoint` does. */
export async function compileUpscaler(options: CompileOptions & { path: string }, onProgress: OnCompileProgress): Promise<UpscalerCompilation> {
  const { identity, target } = options;
  const path = await realPathOf(options.path);
  return cached({ ...options, variant: '' }, path, upscalerSchema, async (work) => {
    const job = new CompileJob(work, target, { onProgress });
    const weights = await job.openFile(path);
    const network = describeUpscaler(weights.table, path);
    const graph = await job.graph('upscaler', weights, async (builder, source) => buildUpscaler(builder, source, network.architecture));
    const convolutions = target === 'cpu-fast' ? listUpscalerConvolutions(weights.table, network.architecture) : null;
    return { identity, ...network, graph, convolutions, report: job.report() };
  });
}

function cached<S extends z.ZodType>(
  { cacheDir, identity, target, variant, onDamaged }: CompileOptions & { variant: string },
  source: string,
  schema: S,
  compile: Parameters<typeof compiledOnce<S>>[3],
): Promise<z.infer<S>> {
  return compiledOnce(cacheDir, { identity, target, source, variant }, schema, compile, (reason) =>
    onDamaged?.(`The compiled graphs of ${source} were damaged (${reason}) and were compiled again.`),
  );
}

async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw new AppError('checkpoint_missing', `${path} cannot be opened (${errnoCode(cause)}).`, { path }, { cause });
  }
}
