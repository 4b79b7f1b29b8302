import { join } from 'node:path';
import { z } from 'zod';
import type { CompiledKlein } from '#main/lib/compiled.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CompileJob, OpenModel } from '../compile-job.ts';
import { requireTensor } from '../safetensors/open-checkpoint-tensors.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import { type FluxConfig, loadFluxConfig } from './flux-config.ts';
import { buildFluxDenoiser, buildModulation, buildPrompt } from './flux-transformer.ts';
import { parseConfig } from './parse-config.ts';
import { buildTextEncoder, loadTextEncoderConfig, type TextEncoderConfig } from './text-encoder.ts';
import { buildVaeDecoder, buildVaeEncoder, loadFluxVaeConfig } from './vae.ts';

/** The residual stream of the text encoder is taken after these layers. Reference: diffusers 0.42.1, `pipelines/flux2/pipeline_flux2_klein.py`. */
const TAKEN_AFTER = [9, 18, 27] as const;
const LAST_TAKEN = TAKEN_AFTER[2];

interface KleinConfigs {
  text: TextEncoderConfig;
  transformer: FluxConfig;
  vae: Awaited<ReturnType<typeof loadFluxVaeConfig>>;
  isDistilled: boolean;
}

const indexSchema = z.object({ is_distilled: z.boolean().default(false) });

/** Reads the configs and checks that the parts fit together. Throws `checkpoint_missing`, `checkpoint_damaged` or `checkpoint_unsupported`. */
export async function loadKleinConfigs(root: string): Promise<KleinConfigs> {
  const { value, refuse } = await parseConfig(root, 'model_index.json', indexSchema);
  const transformer = await loadFluxConfig(join(root, 'transformer'));
  const text = await loadTextEncoderConfig(join(root, 'text_encoder'));
  const vae = await loadFluxVaeConfig(join(root, 'vae'));
  // with exactly as many layers as are taken, the last one would pass the final norm
  if (text.layers <= LAST_TAKEN) throw refuse(`its text encoder has ${text.layers} layers; at least ${LAST_TAKEN + 1} are needed`);
  const embedded = TAKEN_AFTER.length * text.width;
  if (transformer.textWidth !== embedded)
    throw refuse(`joint_attention_dim of its transformer is ${transformer.textWidth}; ${TAKEN_AFTER.length} times the text encoder's ${text.width} are needed`);
  const patched = vae.patchSize ** 2 * vae.latentChannels;
  if (transformer.channels !== patched)
    throw refuse(
      `in_channels of its transformer is ${transformer.channels}; ${vae.patchSize ** 2} times the VAE's ${vae.latentChannels} latent channels are needed`,
    );
  return { text, transformer, vae, isDistilled: value.is_distilled };
}

/** Flux2KleinPipeline: Qwen3 text encoder, Flux2Transformer2DModel and AutoencoderKLFlux2, in six graphs. */
export async function compileKlein(root: string, job: CompileJob, identity: string): Promise<CompiledKlein> {
  const { text, transformer, vae, isDistilled } = await loadKleinConfigs(root);
  const textModel = await job.openModel(join(root, 'text_encoder'), 'model');
  const transformerModel = await job.openModel(join(root, 'transformer'), 'diffusion_pytorch_model');
  const vaeModel = await job.openModel(join(root, 'vae'), 'diffusion_pytorch_model');
  const use = { takenAfter: TAKEN_AFTER, isPadded: true };
  const textEncoder = await job.graph('text_encoder', textModel, (graph, weights) => buildTextEncoder(graph, text, weights, use));
  const prompt = await job.graph('prompt', transformerModel, (graph, weights) => buildPrompt(graph, transformer, weights));
  const modulation = await job.graph('modulation', transformerModel, (graph, weights) => buildModulation(graph, transformer, weights));
  const denoiser = await job.graph('denoiser', transformerModel, (graph, weights) => buildFluxDenoiser(graph, transformer, weights));
  const vaeDecoder = await job.graph('vae_decoder', vaeModel, (graph, weights) => buildVaeDecoder(graph, vae, weights));
  const vaeEncoder = await job.graph('vae_encoder', vaeModel, (graph, weights) => buildVaeEncoder(graph, vae, weights));
  job.assertAllUsed(textModel, (name) => Number(/^layers\.(\d+)\./.exec(name)?.[1] ?? LAST_TAKEN) < LAST_TAKEN);
  job.assertAllUsed(transformerModel, (name) => /^(single_)?transformer_blocks\./.test(name));
  job.assertAllUsed(vaeModel, (name) => /^(encoder|decoder|quant_conv|post_quant_conv)\./.test(name));
  return {
    ...{ architecture: 'klein', identity },
    parts: {
      textEncoder: { role: 'text', unit: 'none', graph: textEncoder },
      prompt: { role: 'text', unit: 'none', graph: prompt },
      vaeEncoder: { role: 'brief', unit: 'encodedPixels', graph: vaeEncoder },
      modulation: { role: 'brief', unit: 'none', graph: modulation },
      denoiser: { role: 'denoiser', unit: 'sequenceTokens', graph: denoiser },
      vaeDecoder: { role: 'decoder', unit: 'latentPixels', graph: vaeDecoder },
    },
    tokenizerDir: join(root, 'tokenizer'),
    schedulerDir: join(root, 'scheduler'),
    isDistilled,
    latentChannels: vae.latentChannels,
    vaeScale: vae.scale,
    patchSize: vae.patchSize,
    latentNorm: await readBatchNorm(vaeModel, transformer.channels, vae.batchNormEpsilon),
    rope: { theta: transformer.ropeTheta, axes: transformer.ropeAxes },
  };
}

/** Mean and deviation of each channel of a token. */
async function readBatchNorm({ table }: OpenModel, channels: number, epsilon: number): Promise<CompiledKlein['latentNorm']> {
  const read = async (name: string): Promise<number[]> => {
    const tensor = requireTensor(table, name);
    if (tensor.shape.length !== 1 || tensor.shape[0] !== channels) {
      const sentence = `${tensor.file}: tensor ${name} has the shape [${tensor.shape.join(', ')}]; its config asks for [${channels}].`;
      throw new AppError('checkpoint_damaged', sentence, { path: tensor.file });
    }
    return [...(await readFloats(tensor))];
  };
  const variance = await read('bn.running_var');
  return { means: await read('bn.running_mean'), deviations: variance.map((value) => Math.fround(Math.sqrt(Math.fround(value + epsilon)))) };
}
