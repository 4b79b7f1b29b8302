import { join } from 'node:path';
import type { CompiledCheckpoint } from '#main/lib/compiled.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CompileJob } from '../compile-job.ts';
import { buildTextEncoder, loadTextEncoderConfig } from './text-encoder.ts';
import { buildCaptionRefiner, buildDenoiser } from './transformer.ts';
import { loadTransformerConfig } from './transformer-config.ts';
import { buildVaeDecoder, loadVaeConfig } from './vae.ts';

/** ZImagePipeline: Qwen3 text encoder, ZImageTransformer2DModel and AutoencoderKL, in four graphs. */
export async function compileZImage(root: string, job: CompileJob): Promise<Omit<CompiledCheckpoint, 'identity'>> {
  const [transformerDir, textDir, vaeDir] = [join(root, 'transformer'), join(root, 'text_encoder'), join(root, 'vae')];
  const transformer = await loadTransformerConfig(transformerDir);
  const text = await loadTextEncoderConfig(textDir);
  const vae = await loadVaeConfig(vaeDir);
  if (text.width !== transformer.captionWidth) {
    throw mismatch(root, `its text encoder is ${text.width} wide and its transformer takes captions of ${transformer.captionWidth}`);
  }
  if (vae.latentChannels !== transformer.latentChannels) {
    throw mismatch(root, `its VAE has ${vae.latentChannels} latent channels and its transformer ${transformer.latentChannels}`);
  }

  const textWeights = await job.openModel(textDir, 'model');
  const transformerWeights = await job.openModel(transformerDir, 'diffusion_pytorch_model');
  const vaeWeights = await job.openModel(vaeDir, 'diffusion_pytorch_model');
  const graphs = {
    textEncoder: await job.graph('text_encoder', textWeights, (graph, weights) => buildTextEncoder(graph, text, weights)),
    captionRefiner: await job.graph('caption_refiner', transformerWeights, (graph, weights) => buildCaptionRefiner(graph, transformer, weights)),
    denoiser: await job.graph('denoiser', transformerWeights, (graph, weights) => buildDenoiser(graph, transformer, weights)),
    vaeDecoder: await job.graph('vae_decoder', vaeWeights, (graph, weights) => buildVaeDecoder(graph, vae, weights)),
  };
  const lastTextLayer = `layers.${text.layers - 1}.`;
  job.assertAllUsed(textWeights, (name) => name.startsWith('layers.') && !name.startsWith(lastTextLayer));
  job.assertAllUsed(transformerWeights, (name) => /^(layers|noise_refiner|context_refiner)\./.test(name));
  job.assertAllUsed(vaeWeights, (name) => /^(decoder|post_quant_conv)\./.test(name));
  return {
    ...graphs,
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

function mismatch(path: string, reason: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path} does not fit together: ${reason}.`, { path });
}
