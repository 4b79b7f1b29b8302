import { z } from 'zod';
import type { GraphBuilder } from '../graph/builder.ts';
import { type Graph, scaleDim, type Value } from '../graph/ir.ts';
import { add, attention, reshape, silu, transpose } from '../ops/basic.ts';
import { convolution, enlargedConvolution, groupNorm } from '../ops/convolution.ts';
import { linear } from '../ops/linear.ts';
import type { Weights } from '../ops/weights.ts';
import { parseConfig } from './parse-config.ts';

/** AutoencoderKL. Reference: diffusers 0.42.1, `models/autoencoders/vae.py`, `models/unets/unet_2d_blocks.py`, `models/resnet.py`. */
export interface VaeConfig {
  latentChannels: number;
  imageChannels: number;
  /** Of the encoder, from the image's side to the latents'. */
  channels: number[];
  /** Of the decoder, in the same order. */
  decoderChannels: number[];
  layersPerBlock: number;
  normGroups: number;
  midAttention: boolean;
  quantConvolution: boolean;
  postQuantConvolution: boolean;
  /** Image pixels a latent pixel. */
  scale: number;
}

const NORM_EPSILON = 1e-6;

const size = z.number().int().positive();
const networkFields = {
  act_fn: z.literal('silu'),
  block_out_channels: z.array(size).min(1),
  down_block_types: z.array(z.literal('DownEncoderBlock2D')),
  up_block_types: z.array(z.literal('UpDecoderBlock2D')),
  in_channels: z.literal(3),
  out_channels: z.literal(3),
  latent_channels: size,
  layers_per_block: size,
  norm_num_groups: size,
  mid_block_add_attention: z.boolean().default(true),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
};
const schema = z.object({
  _class_name: z.literal('AutoencoderKL'),
  ...networkFields,
  scaling_factor: z.number().positive(),
  shift_factor: z.number().nullable().default(null),
  latents_mean: z.null().optional(),
  latents_std: z.null().optional(),
});

const fluxSchema = z.object({
  _class_name: z.literal('AutoencoderKLFlux2'),
  ...networkFields,
  decoder_block_out_channels: z.array(size).min(1).nullish(),
  patch_size: z.tuple([z.literal(2), z.literal(2)]),
  batch_norm_eps: z.number().positive(),
});

/** Throws `checkpoint_missing`, `checkpoint_damaged` or, for another architecture, `checkpoint_unsupported`. */
export async function loadVaeConfig(dir: string): Promise<VaeConfig & { scalingFactor: number; shiftFactor: number }> {
  const { value, refuse } = await parseConfig(dir, 'config.json', schema);
  return { ...networkOf(value, value.block_out_channels, refuse), scalingFactor: value.scaling_factor, shiftFactor: value.shift_factor ?? 0 };
}

/** Latents of AutoencoderKLFlux2 are normalized by a batch norm over patches. Throws as `loadVaeConfig` does. */
export async function loadFluxVaeConfig(dir: string): Promise<VaeConfig & { patchSize: number; batchNormEpsilon: number }> {
  const { value, refuse } = await parseConfig(dir, 'config.json', fluxSchema);
  const { block_out_channels: channels, decoder_block_out_channels: own } = value;
  if (own && own.length !== channels.length)
    throw refuse(`decoder_block_out_channels has ${own.length} entries; it must have ${channels.length}, as block_out_channels`);
  return { ...networkOf(value, own ?? channels, refuse), patchSize: value.patch_size[0], batchNormEpsilon: value.batch_norm_eps };
}

function networkOf(value: z.infer<z.ZodObject<typeof networkFields>>, decoderChannels: number[], refuse: (reason: string) => Error): VaeConfig {
  const odd = [...value.block_out_channels, ...decoderChannels].find((channels) => channels % value.norm_num_groups !== 0);
  if (odd !== undefined) throw refuse(`block_out_channels ${odd} must be a multiple of norm_num_groups ${value.norm_num_groups}`);
  return {
    latentChannels: value.latent_channels,
    imageChannels: value.out_channels,
    channels: value.block_out_channels,
    decoderChannels,
    layersPerBlock: value.layers_per_block,
    normGroups: value.norm_num_groups,
    midAttention: value.mid_block_add_attention,
    quantConvolution: value.use_quant_conv,
    postQuantConvolution: value.use_post_quant_conv,
    scale: 2 ** (value.block_out_channels.length - 1),
  };
}

/** Input: `latents` [1, latent channels, height, width], scaled and shifted. Output: `image` [1, 3, scale * height, scale * width], about -1 to 1. */
export async function buildVaeDecoder(graph: GraphBuilder, config: VaeConfig, weights: Weights): Promise<Graph> {
  let x = graph.input('latents', 'float32', [1, config.latentChannels, 'height', 'width']);
  if (config.postQuantConvolution) x = convolution(graph, weights, 'post_quant_conv', x, config.latentChannels, { kernel: 1 });
  const channels = config.decoderChannels.toReversed();
  x = convolution(graph, weights, 'decoder.conv_in', x, channels[0] ?? 0);
  x = await midBlock(graph, config, weights, 'decoder.mid_block', x, channels[0] ?? 0);
  for (const [i, width] of channels.entries()) {
    const name = `decoder.up_blocks.${i}`;
    const block = graph.scope(name);
    for (let j = 0; j <= config.layersPerBlock; j++) x = resnet(block, config, weights, `${name}.resnets.${j}`, x, width);
    if (i < channels.length - 1) x = enlargedConvolution(block, weights, `${name}.upsamplers.0.conv`, x, width);
  }
  x = silu(graph, groupNorm(graph, weights, 'decoder.conv_norm_out', x, config.normGroups, NORM_EPSILON));
  graph.output(convolution(graph, weights, 'decoder.conv_out', x, config.imageChannels), 'image');
  return graph.finish();
}

/**
 * Input: `image` [1, 3, scale * height, scale * width], -1 to 1. Output: `moments` [1, 2 * latent channels, height, width], means and then log variances,
 * neither scaled nor shifted.
 */
export async function buildVaeEncoder(graph: GraphBuilder, config: VaeConfig, weights: Weights): Promise<Graph> {
  const sides = ['height', 'width'].map((side) => scaleDim(side, config.scale));
  let x = convolution(graph, weights, 'encoder.conv_in', graph.input('image', 'float32', [1, config.imageChannels, ...sides]), config.channels[0] ?? 0);
  for (const [i, width] of config.channels.entries()) {
    const name = `encoder.down_blocks.${i}`;
    const block = graph.scope(name);
    for (let j = 0; j < config.layersPerBlock; j++) x = resnet(block, config, weights, `${name}.resnets.${j}`, x, width);
    if (i < config.channels.length - 1) x = convolution(block, weights, `${name}.downsamplers.0.conv`, x, width, { halves: true });
  }
  x = await midBlock(graph, config, weights, 'encoder.mid_block', x, config.channels.at(-1) ?? 0);
  x = silu(graph, groupNorm(graph, weights, 'encoder.conv_norm_out', x, config.normGroups, NORM_EPSILON));
  const moments = 2 * config.latentChannels;
  x = convolution(graph, weights, 'encoder.conv_out', x, moments);
  if (config.quantConvolution) x = convolution(graph, weights, 'quant_conv', x, moments, { kernel: 1 });
  graph.output(x, 'moments');
  return graph.finish();
}

async function midBlock(parent: GraphBuilder, config: VaeConfig, weights: Weights, name: string, x: Value, width: number): Promise<Value> {
  const graph = parent.scope(name);
  let y = resnet(graph, config, weights, `${name}.resnets.0`, x, width);
  if (config.midAttention) y = await spatialAttention(graph, config, weights, `${name}.attentions.0`, y);
  return resnet(graph, config, weights, `${name}.resnets.1`, y, width);
}

/** [1, C, h, w] -> [1, width, h, w]. */
function resnet(graph: GraphBuilder, config: VaeConfig, weights: Weights, name: string, x: Value, width: number): Value {
  const norm = (part: string, value: Value): Value => silu(graph, groupNorm(graph, weights, `${name}.${part}`, value, config.normGroups, NORM_EPSILON));
  let y = convolution(graph, weights, `${name}.conv1`, norm('norm1', x), width);
  y = convolution(graph, weights, `${name}.conv2`, norm('norm2', y), width);
  const shortcut = x.shape[1] === width ? x : convolution(graph, weights, `${name}.conv_shortcut`, x, width, { kernel: 1 });
  return add(graph, shortcut, y);
}

/** One head over all pixels; [1, C, h, w] -> [1, C, h, w]. */
async function spatialAttention(graph: GraphBuilder, config: VaeConfig, weights: Weights, name: string, x: Value): Promise<Value> {
  const [, channels, height, width] = x.shape;
  const c = Number(channels);
  const pixels = `${height}*${width}`;
  const normed = groupNorm(graph, weights, `${name}.group_norm`, x, config.normGroups, NORM_EPSILON);
  const tokens = transpose(graph, reshape(graph, normed, [c, pixels]), [1, 0]); // [h*w, C]
  const project = async (part: string, from: Value): Promise<Value> => linear(graph, weights, `${name}.${part}`, from, c, { bias: true, keepsFloats: true });
  const head = async (part: string): Promise<Value> => reshape(graph, await project(part, tokens), [1, pixels, c]);
  const mixed = attention(graph, await head('to_q'), await head('to_k'), await head('to_v'), 1);
  const out = await project('to_out.0', reshape(graph, mixed, [pixels, c])); // [h*w, C]
  // the image's sides are free, so its shape is taken from x itself
  const back = graph.add('Reshape', [transpose(graph, out, [1, 0]), graph.add('Shape', [x])], { hints: { to: x.shape.join(' ') } });
  return add(graph, x, back);
}
