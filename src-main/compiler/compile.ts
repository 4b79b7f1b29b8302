import { realpath } from 'node:fs/promises';
import { z } from 'zod';
import { type CompiledCheckpoint, compiledCheckpointSchema, compiledUpscalerSchema, type GraphTarget } from '#main/lib/compiled.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { compiledOnce } from './compile-cache.ts';
import { CompileJob, compileReportSchema } from './compile-job.ts';
import { parseConfig } from './models/parse-config.ts';
import { listUpscalerConvolutions } from './models/upscaler-convolutions.ts';
import { buildUpscaler, describeUpscaler } from './models/upscalers.ts';
import { compileZImage } from './models/z-image.ts';

interface Architecture {
  graphCount: number;
  compile(root: string, job: CompileJob): Promise<Omit<CompiledCheckpoint, 'identity'>>;
}

/** By the `_class_name` of `model_index.json`. */
const architectures: Readonly<Record<string, Architecture>> = {
  ZImagePipeline: { graphCount: 4, compile: compileZImage },
};
const modelIndexSchema = z.object({ _class_name: z.enum(Object.keys(architectures)) });

export interface CompileOptions {
  /** Parent folder of all compiled checkpoints. */
  cacheDir: string;
  /** Hash of the weights' content. */
  identity: string;
  target: GraphTarget;
  /** Called with a sentence when an earlier compilation is damaged and has to be repeated. */
  onDamaged?: (sentence: string) => void;
}

export type OnCompileProgress = (done: number, total: number) => void;

const checkpointSchema = compiledCheckpointSchema.extend({ report: compileReportSchema });
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
  return cached(options, root, checkpointSchema, async (work) => {
    const { value: index } = await parseConfig(root, 'model_index.json', modelIndexSchema);
    const { graphCount, compile } = architectures[index._class_name] as Architecture;
    const job = new CompileJob(work, target, graphCount, onProgress);
    const checkpoint = await compile(root, job);
    return { identity, ...checkpoint, report: job.report() };
  });
}

/** Compiles an upscaler's safetensors file, or reuses an earlier compilation of the same content. Throws as `compileCheckpoint` does. */
export async function compileUpscaler(options: CompileOptions & { path: string }, onProgress: OnCompileProgress): Promise<UpscalerCompilation> {
  const { identity, target } = options;
  const path = await realPathOf(options.path);
  return cached(options, path, upscalerSchema, async (work) => {
    const job = new CompileJob(work, target, 1, onProgress);
    const weights = await job.openFile(path);
    const network = describeUpscaler(weights.table, path);
    const graph = await job.graph('upscaler', weights, async (builder, source) => buildUpscaler(builder, source, network.architecture));
    const convolutions = target === 'cpu-fast' ? listUpscalerConvolutions(weights.table, network.architecture) : null;
    return { identity, ...network, graph, convolutions, report: job.report() };
  });
}

function cached<S extends z.ZodType>(
  { cacheDir, identity, target, onDamaged }: CompileOptions,
  source: string,
  schema: S,
  compile: Parameters<typeof compiledOnce<S>>[3],
): Promise<z.infer<S>> {
  return compiledOnce(cacheDir, { identity, target, source }, schema, compile, (reason) =>
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
