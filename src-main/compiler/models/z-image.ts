import { join } from 'node:path';
import type { CompiledZImage, DenoiserVariant } from '#main/lib/compiled.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CompileJob } from '../compile-job.ts';
import type { WrittenWeights } from '../derived-weights.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/ir.ts';
import type { Weights } from '../ops/weights.ts';
import { describeControlNet } from './controlnet.ts';
import { loraTargets } from './lora-targets.ts';
import { buildTextEncoder, loadTextEncoderConfig, type TextEncoderConfig } from './text-encoder.ts';
import { buildCaptionRefiner, buildDenoiser } from './transformer.ts';
import { loadTransformerConfig, type TransformerConfig } from './transformer-config.ts';
import { buildVaeDecoder, buildVaeEncoder, loadVaeConfig } from './vae.ts';

export interface VariantOptions {
  takesLoras: boolean;
  /** The ControlNet's file, and whether its weights are quantized to int8. */
  controlNet: { path: string; isQuantized: boolean } | null;
  written: readonly WrittenWeights[];
}

interface ZImageConfigs {
  text: TextEncoderConfig;
  transformer: TransformerConfig;
  vae: Awaited<ReturnType<typeof loadVaeConfig>>;
}

/** Reads the configs and checks that the parts fit together. Throws `checkpoint_missing`, `checkpoint_damaged` or `checkpoint_unsupported`. */
export async function loadZImageConfigs(root: string): Promise<ZImageConfigs> {
  const transformer = await loadTransformerConfig(join(root, 'transformer'));
  const text = await loadTextEncoderConfig(join(root, 'text_encoder'));
  const vae = await loadVaeConfig(join(root, 'vae'));
  if (text.width !== transformer.captionWidth) {
    throw mismatch(root, `its text encoder is ${text.width} wide and its transformer takes captions of ${transformer.captionWidth}`);
  }
  if (vae.latentChannels !== transformer.latentChannels) {
    throw mismatch(root, `its VAE has ${vae.latentChannels} latent channels and its transformer ${transformer.latentChannels}`);
  }
  return { text, transformer, vae };
}

/** ZImagePipeline: Qwen3 text encoder, ZImageTransformer2DModel and AutoencoderKL, in five graphs. */
export async function compileZImage(root: string, job: CompileJob, identity: string): Promise<CompiledZImage> {
  const { text, transformer, vae } = await loadZImageConfigs(root);
  const textWeights = await job.openModel(join(root, 'text_encoder'), 'model');
  const transformerWeights = await job.openModel(join(root, 'transformer'), 'diffusion_pytorch_model');
  const vaeWeights = await job.openModel(join(root, 'vae'), 'diffusion_pytorch_model');
  const hasEncoder = vaeWeights.table.tensors.has('encoder.conv_in.weight');
  const textEncoder = await job.graph('text_encoder', textWeights, (graph, weights) =>
    buildTextEncoder(graph, text, weights, { takenAfter: [text.layers - 1], isPadded: false }),
  );
  const captionRefiner = await job.graph('caption_refiner', transformerWeights, (graph, weights) => buildCaptionRefiner(graph, transformer, weights));
  const denoiser = await job.graph('denoiser', transformerWeights, (graph, weights) => buildDenoiser(graph, transformer, weights));
  const vaeDecoder = await job.graph('vae_decoder', vaeWeights, (graph, weights) => buildVaeDecoder(graph, vae, weights));
  const vaeEncoder = hasEncoder ? await job.graph('vae_encoder', vaeWeights, (graph, weights) => buildVaeEncoder(graph, vae, weights)) : null;
  const lastTextLayer = `layers.${text.layers - 1}.`;
  job.assertAllUsed(textWeights, (name) => name.startsWith('layers.') && !name.startsWith(lastTextLayer));
  job.assertAllUsed(transformerWeights, (name) => /^(layers|noise_refiner|context_refiner)\./.test(name));
  job.assertAllUsed(vaeWeights, (name) => /^(encoder|decoder|quant_conv|post_quant_conv)\./.test(name));
  return {
    ...{ architecture: 'z-image', identity },
    parts: {
      textEncoder: { role: 'text', unit: 'promptTokens', graph: textEncoder },
      captionRefiner: { role: 'text', unit: 'promptTokens', graph: captionRefiner },
      vaeEncoder: vaeEncoder && { role: 'brief', unit: 'encodedPixels', graph: vaeEncoder },
      denoiser: { role: 'denoiser', unit: 'imageTokens', graph: denoiser },
      vaeDecoder: { role: 'decoder', unit: 'latentPixels', graph: vaeDecoder },
    },
    tokenizerDir: join(root, 'tokenizer'),
    schedulerDir: join(root, 'scheduler'),
    latentChannels: vae.latentChannels,
    vaeScale: vae.scale,
    vaeScalingFactor: vae.scalingFactor,
    vaeShiftFactor: vae.shiftFactor,
    patchSize: transformer.patchSize,
    captionWidth: transformer.captionWidth,
    rope: { theta: transformer.ropeTheta, axes: transformer.ropeAxes, lengths: transformer.ropeLengths },
  };
}

/** The transformer's graphs once more, as a variant. `written` is what the checkpoint's own graphs have written, by graph. */
export async function compileZImageVariant(root: string, job: CompileJob, variant: VariantOptions): Promise<DenoiserVariant> {
  const { transformer } = await loadZImageConfigs(root);
  const weights = await job.openModel(join(root, 'transformer'), 'diffusion_pytorch_model');
  const second = variant.controlNet === null ? null : await job.openFile(variant.controlNet.path, variant.controlNet.isQuantized);
  const config = second && (await describeControlNet(second.table, transformer));
  const options = { takesLoras: variant.takesLoras, written: variant.written };
  const denoiser = (graph: GraphBuilder, source: Weights, control: Weights | null): Promise<Graph> =>
    buildDenoiser(graph, transformer, source, config && control && { config, weights: control });
  const captionRefiner = (graph: GraphBuilder, source: Weights): Promise<Graph> => buildCaptionRefiner(graph, transformer, source);
  return {
    graphs: {
      captionRefiner: await job.graph('caption_refiner', weights, captionRefiner, options),
      denoiser: await job.graph('denoiser', weights, denoiser, { ...options, second }),
    },
    loraTargets: variant.takesLoras ? loraTargets(transformer) : [],
    controlChannels: config?.channels ?? 0,
  };
}

function mismatch(path: string, reason: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path} does not fit together: ${reason}.`, { path });
}
