import { z } from 'zod';
import { parseConfig } from './parse-config.ts';

/** What the graphs of a ZImageTransformer2DModel need to know of its config.json. */
export interface TransformerConfig {
  latentChannels: number;
  patchSize: number;
  width: number;
  layers: number;
  refinerLayers: number;
  heads: number;
  headWidth: number;
  captionWidth: number;
  normEpsilon: number;
  qkNorm: boolean;
  timeScale: number;
  ropeTheta: number;
  /** Channels of a head for position in the sequence, row, column. */
  ropeAxes: [number, number, number];
  /** Positions a table may be asked for, by axis. */
  ropeLengths: [number, number, number];
}

const size = z.number().int().positive();
const axes = z.tuple([size, size, size]);
const schema = z.object({
  _class_name: z.literal('ZImageTransformer2DModel'),
  all_patch_size: z.tuple([size]),
  all_f_patch_size: z.tuple([z.literal(1)]),
  in_channels: size,
  dim: size,
  n_layers: size,
  n_refiner_layers: size,
  n_heads: size,
  n_kv_heads: size,
  norm_eps: z.number().positive(),
  qk_norm: z.boolean(),
  cap_feat_dim: size,
  siglip_feat_dim: z.null().optional(),
  rope_theta: z.number().positive(),
  t_scale: z.number().positive(),
  axes_dims: axes,
  axes_lens: axes,
});

/** Throws `checkpoint_missing`, `checkpoint_damaged` or, for another architecture, `checkpoint_unsupported`. */
export async function loadTransformerConfig(dir: string): Promise<TransformerConfig> {
  const { path, value, refuse } = await parseConfig(dir, 'config.json', schema);
  const headWidth = value.dim / value.n_heads;
  if (!Number.isInteger(headWidth)) throw refuse(`dim ${value.dim} must be a multiple of n_heads ${value.n_heads}`);
  if (value.n_kv_heads !== value.n_heads) throw refuse(`n_kv_heads must equal n_heads ${value.n_heads}, met ${value.n_kv_heads}`);
  const rotary = value.axes_dims.reduce((a, b) => a + b, 0);
  if (rotary !== headWidth) throw refuse(`axes_dims must add up to ${headWidth} channels of a head, met ${value.axes_dims.join(' + ')} in ${path}`);
  if (value.axes_dims.some((dim) => dim % 2 !== 0)) throw refuse(`axes_dims must be even, met ${value.axes_dims.join(', ')}`);
  return {
    latentChannels: value.in_channels,
    patchSize: value.all_patch_size[0],
    width: value.dim,
    layers: value.n_layers,
    refinerLayers: value.n_refiner_layers,
    heads: value.n_heads,
    headWidth,
    captionWidth: value.cap_feat_dim,
    normEpsilon: value.norm_eps,
    qkNorm: value.qk_norm,
    timeScale: value.t_scale,
    ropeTheta: value.rope_theta,
    ropeAxes: value.axes_dims,
    ropeLengths: value.axes_lens,
  };
}
