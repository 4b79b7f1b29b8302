import { z } from 'zod';
import { parseConfig } from './parse-config.ts';

/** What the graphs of a Flux2Transformer2DModel need to know of its config.json. */
export interface FluxConfig {
  /** Channels of a token. */
  channels: number;
  width: number;
  /** Of a feed-forward. */
  innerWidth: number;
  doubleBlocks: number;
  singleBlocks: number;
  heads: number;
  headWidth: number;
  /** Of the text embedding. */
  textWidth: number;
  /** Sines and cosines of a timestep. */
  frequencies: number;
  epsilon: number;
  ropeTheta: number;
  /** Channels of a head for time, row, column and place in the text. */
  ropeAxes: [number, number, number, number];
}

const size = z.number().int().positive();
const even = z.number().int().nonnegative().multipleOf(2);
const schema = z.object({
  _class_name: z.literal('Flux2Transformer2DModel'),
  patch_size: z.literal(1),
  in_channels: size,
  out_channels: size.nullish(),
  num_layers: size,
  num_single_layers: size,
  attention_head_dim: size,
  num_attention_heads: size,
  joint_attention_dim: size,
  timestep_guidance_channels: size.multipleOf(2),
  mlp_ratio: z.number().positive(),
  axes_dims_rope: z.tuple([even, even, even, even]),
  rope_theta: z.number().positive(),
  eps: z.number().positive(),
  // the pipeline gives no guidance to embed
  guidance_embeds: z.literal(false),
});

/** Throws `checkpoint_missing`, `checkpoint_damaged` or, for what is not done here, `checkpoint_unsupported`. */
export async function loadFluxConfig(dir: string): Promise<FluxConfig> {
  const { value, refuse } = await parseConfig(dir, 'config.json', schema);
  const { in_channels: channels, attention_head_dim: headWidth, num_attention_heads: heads, axes_dims_rope: ropeAxes } = value;
  if ((value.out_channels ?? channels) !== channels) throw refuse(`out_channels is ${value.out_channels}; it must equal in_channels ${channels}`);
  if (ropeAxes.reduce((sum, axis) => sum + axis, 0) !== headWidth)
    throw refuse(`axes_dims_rope is ${ropeAxes.join(' + ')}; the axes must add up to attention_head_dim ${headWidth}`);
  const width = heads * headWidth;
  return {
    channels,
    width,
    innerWidth: Math.trunc(width * value.mlp_ratio),
    doubleBlocks: value.num_layers,
    singleBlocks: value.num_single_layers,
    heads,
    headWidth,
    textWidth: value.joint_attention_dim,
    frequencies: value.timestep_guidance_channels,
    epsilon: value.eps,
    ropeTheta: value.rope_theta,
    ropeAxes,
  };
}
