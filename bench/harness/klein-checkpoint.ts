import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { floats, norm, plain, type TensorPlan, textConfig, textTensors, vaeConfig, vaeTensors, writePart } from './random-checkpoint.ts';

/** FLUX.2 [klein] 4B. Source of the sizes: config.json of black-forest-labs/FLUX.2-klein-base-4B. */
const DIT = { width: 3072, headWidth: 128, inner: 9216, channels: 128, textWidth: 7680, frequencies: 256, doubleBlocks: 5, singleBlocks: 20 };
const TEXT_LAYERS = 36;
const LATENT_CHANNELS = 32;
const GROUPS = { uint4: 64, int5: 128 };
/** Standard deviations of uniform values of 4 and of 5 bits. */
const DEVIATIONS = { uint4: Math.sqrt((16 ** 2 - 1) / 12), int5: Math.sqrt((32 ** 2 - 1) / 12) };
interface KleinOptions {
  /** As in `writePart`. */
  isSparse: boolean;
  /** The distance of int5 linears; the others are uint4. */
  int5Every: number;
}

/**
 * A random klein checkpoint of the true sizes in `dir`, as sdnq 0.1 stores it: uint4 in groups of 64 without SVD, and some linears as int5. The tokenizer and
 * the scheduler's config are not written.
 */
export async function writeRandomKlein(dir: string, { isSparse, int5Every }: KleinOptions): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'model_index.json'), JSON.stringify({ _class_name: 'Flux2KleinPipeline', is_distilled: true }));
  const transformer = mixedLinears(int5Every);
  const tensors = transformerTensors(transformer.linear);
  await writePart(dir, 'transformer', 'diffusion_pytorch_model', { ...transformerConfig, quantization_config: transformer.config() }, tensors, isSparse);
  const text = mixedLinears(int5Every);
  const ofText = textTensors(TEXT_LAYERS, text.linear);
  await writePart(dir, 'text_encoder', 'model', { ...textConfig(TEXT_LAYERS), quantization_config: text.config() }, ofText, isSparse);
  const vae = {
    ...{ ...vaeConfig(), _class_name: 'AutoencoderKLFlux2', latent_channels: LATENT_CHANNELS },
    ...{ use_quant_conv: true, use_post_quant_conv: true, patch_size: [2, 2], batch_norm_eps: 1e-4 },
  };
  const ofVae = [
    ...vaeTensors(LATENT_CHANNELS),
    ...plain('quant_conv', [2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1, 1], true),
    ...plain('post_quant_conv', [LATENT_CHANNELS, LATENT_CHANNELS, 1, 1], true),
    floats('bn.running_mean', [DIT.channels], 0.2),
    floats('bn.running_var', [DIT.channels], 0.1, 3),
  ];
  await writePart(dir, 'vae', 'diffusion_pytorch_model', vae, ofVae, isSparse);
}

/** Linears of mixed types, and the config that names those that are int5. */
function mixedLinears(int5Every: number) {
  const int5: string[] = [];
  let count = 0;
  const linear = (name: string, n: number, k: number): TensorPlan[] => {
    const type = ++count % int5Every === 0 ? 'int5' : 'uint4';
    const scale = 1 / Math.sqrt(k) / DEVIATIONS[type];
    const groups = [n, k / GROUPS[type], 1];
    if (type === 'int5') {
      int5.push(`${name}.weight`);
      return [{ name: `${name}.weight`, dtype: 'U8', shape: [(n * k) / 8, 5], mean: 0, deviation: 0 }, floats(`${name}.scale`, groups, 0, scale)];
    }
    return [
      { name: `${name}.weight`, dtype: 'U8', shape: [(n * k) / 2], mean: 0, deviation: 0 },
      floats(`${name}.scale`, groups, 0, scale),
      floats(`${name}.zero_point`, groups, 0, -7.5 * scale),
    ];
  };
  const config = (): object => ({ quant_method: 'sdnq', sdnq_version: '0.1.3', weights_dtype: 'uint4', group_size: 0, modules_dtype_dict: { int5 } });
  return { linear, config };
}

function transformerTensors(linear: (name: string, n: number, k: number) => TensorPlan[]): TensorPlan[] {
  const { width, headWidth, inner, channels, textWidth, frequencies, doubleBlocks, singleBlocks } = DIT;
  const norms = (name: string, parts: readonly string[]): TensorPlan[] => parts.map((part) => norm(`${name}.attn.${part}`, headWidth));
  const doubleBlock = (name: string): TensorPlan[] => [
    ...['to_q', 'to_k', 'to_v', 'to_out.0', 'add_q_proj', 'add_k_proj', 'add_v_proj', 'to_add_out'].flatMap((part) =>
      linear(`${name}.attn.${part}`, width, width),
    ),
    ...norms(name, ['norm_q', 'norm_k', 'norm_added_q', 'norm_added_k']),
    ...['ff', 'ff_context'].flatMap((part) => [
      ...linear(`${name}.${part}.linear_in`, 2 * inner, width),
      ...linear(`${name}.${part}.linear_out`, width, inner),
    ]),
  ];
  const singleBlock = (name: string): TensorPlan[] => [
    ...linear(`${name}.attn.to_qkv_mlp_proj`, 3 * width + 2 * inner, width),
    ...linear(`${name}.attn.to_out`, width, width + inner),
    ...norms(name, ['norm_q', 'norm_k']),
  ];
  const each = (count: number, part: (i: number) => TensorPlan[]): TensorPlan[] => Array.from({ length: count }, (_, i) => part(i)).flat();
  return [
    ...plain('x_embedder', [width, channels], false),
    ...plain('context_embedder', [width, textWidth], false),
    ...plain('time_guidance_embed.timestep_embedder.linear_1', [width, frequencies], false),
    ...plain('time_guidance_embed.timestep_embedder.linear_2', [width, width], false),
    ...plain('double_stream_modulation_img.linear', [6 * width, width], false),
    ...plain('double_stream_modulation_txt.linear', [6 * width, width], false),
    ...plain('single_stream_modulation.linear', [3 * width, width], false),
    ...plain('norm_out.linear', [2 * width, width], false),
    ...plain('proj_out', [channels, width], false),
    ...each(doubleBlocks, (i) => doubleBlock(`transformer_blocks.${i}`)),
    ...each(singleBlocks, (i) => singleBlock(`single_transformer_blocks.${i}`)),
  ];
}

const transformerConfig = {
  _class_name: 'Flux2Transformer2DModel',
  attention_head_dim: DIT.headWidth,
  axes_dims_rope: [32, 32, 32, 32],
  eps: 1e-6,
  guidance_embeds: false,
  in_channels: DIT.channels,
  joint_attention_dim: DIT.textWidth,
  mlp_ratio: DIT.inner / DIT.width,
  num_attention_heads: DIT.width / DIT.headWidth,
  num_layers: DIT.doubleBlocks,
  num_single_layers: DIT.singleBlocks,
  out_channels: null,
  patch_size: 1,
  rope_theta: 2000,
  timestep_guidance_channels: DIT.frequencies,
};
