import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { compiledCheckpointSchema, compiledUpscalerSchema, type GraphTarget } from '#main/lib/compiled.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { compiledOnce } from './compile-cache.ts';
import { CompileJob, compileReportSchema } from './compile-job.ts';
import { buildTextEncoder, loadTextEncoderConfig } from './models/text-encoder.ts';
import { buildCaptionRefiner, buildDenoiser } from './models/transformer.ts';
import { loadTransformerConfig } from './models/transformer-config.ts';
import { listUpscalerConvolutions } from './models/upscaler-convolutions.ts';
import { buildUpscaler, describeUpscaler } from './models/upscalers.ts';
import { buildVaeDecoder, buildVaeEncoder, loadVaeConfig } from './models/vae.ts';

export interface CompileOptions {
  /** Compiled checkpoints are kept here, one folder each. */
  cacheDir: string;
  /** Hash of the weights' content; another one is compiled anew. */
  identity: string;
  target: GraphTarget;
}

export type OnCompileProgress = (done: number, total: number) => void;

const checkpointSchema = compiledCheckpointSchema.extend({ report: compileReportSchema });
const upscalerSchema = compiledUpscalerSchema.extend({ report: compileReportSchema });
export type CheckpointCompilation = z.infer<typeof checkpointSchema>;
export type UpscalerCompilation = z.infer<typeof upscalerSchema>;

/**
 * Compiles a checkpoint folder in Hugging Face layout, or takes what an earlier compilation of the same content left.
 * Throws `checkpoint_missing`, `checkpoint_damaged`, `checkpoint_unsupported` or `graph_invalid`; nothing half-made is left.
 */
export async function compileCheckpoint(options: CompileOptions & { checkpointDir: string }, onProgress: OnCompileProgress): Promise<CheckpointCompilation> {
  const root = await realPathOf(options.checkpointDir);
  return compiledOnce(options.cacheDir, [options.identity, options.target, root], checkpointSchema, async (work) => {
    const job = new CompileJob(work, options.target, 5, onProgress);
    const transformerDir = join(root, 'transformer');
    const textDir = join(root, 'text_encoder');
    const vaeDir = join(root, 'vae');
    const transformer = await loadTransformerConfig(transformerDir);
    const text = await loadTextEncoderConfig(textDir);
    const vae = await loadVaeConfig(vaeDir);
    if (text.width !== transformer.captionWidth) {
      throw unsupported(root, `its text encoder is ${text.width} wide and its transformer takes captions of ${transformer.captionWidth}`);
    }
    if (vae.latentChannels !== transformer.latentChannels) {
      throw unsupported(root, `its VAE has ${vae.latentChannels} latent channels and its transformer ${transformer.latentChannels}`);
    }

    const textWeights = await job.openModel(textDir, 'model');
    const transformerWeights = await job.openModel(transformerDir, 'diffusion_pytorch_model');
    const vaeWeights = await job.openModel(vaeDir, 'diffusion_pytorch_model');
    return {
      identity: options.identity,
      textEncoder: await job.graph('text_encoder', textWeights, (graph, weights) => buildTextEncoder(graph, text, weights)),
      captionRefiner: await job.graph('caption_refiner', transformerWeights, (graph, weights) => buildCaptionRefiner(graph, transformer, weights)),
      denoiser: await job.graph('denoiser', transformerWeights, (graph, weights) => buildDenoiser(graph, transformer, weights)),
      vaeDecoder: await job.graph('vae_decoder', vaeWeights, (graph, weights) => buildVaeDecoder(graph, vae, weights)),
      vaeEncoder: await job.graph('vae_encoder', vaeWeights, (graph, weights) => buildVaeEncoder(graph, vae, weights)),
      tokenizerDir: join(root, 'tokenizer'),
      schedulerDir: join(root, 'scheduler'),
      latentChannels: vae.latentChannels,
      vaeScale: vae.scale,
      vaeScalingFactor: vae.scalingFactor,
      vaeShiftFactor: vae.shiftFactor,
      patchSize: transformer.patchSize,
      captionWidth: transformer.captionWidth,
      rope: { theta: transformer.ropeTheta, axes: transformer.ropeAxes, lengths: transformer.ropeLengths },
      report: job.report(),
    };
  });
}

/** Compiles an upscaler's safetensors file, or takes what an earlier compilation of the same content left. Throws as `compileCheckpoint` does. */
export async function compileUpscaler(options: CompileOptions & { path: string }, onProgress: OnCompileProgress): Promise<UpscalerCompilation> {
  const path = await realPathOf(options.path);
  return compiledOnce(options.cacheDir, [options.identity, options.target, path], upscalerSchema, async (work) => {
    const job = new CompileJob(work, options.target, 1, onProgress);
    const weights = await job.openFile(path);
    const network = describeUpscaler(weights.table, path);
    const graph = await job.graph('upscaler', weights, async (builder, source) => buildUpscaler(builder, source, network.architecture));
    const convolutions = options.target === 'cpu-fast' ? listUpscalerConvolutions(weights.table, network.architecture) : null;
    return { identity: options.identity, ...network, graph, convolutions, report: job.report() };
  });
}

async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw new AppError('checkpoint_missing', `${path} cannot be opened (${errnoCode(cause)}).`, { path }, { cause });
  }
}

function unsupported(path: string, reason: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path} does not fit together: ${reason}.`, { path });
}
