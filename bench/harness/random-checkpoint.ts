import { randomFillSync } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { torchRandn } from '#main/inference/rng.ts';
import { safetensorsHeader } from './safetensors-header.ts';

/** How the linears are stored. */
export type Kind = 'uint4' | 'int8';

const DIT = { width: 3840, heads: 30, inner: 10240, axes: [32, 48, 48], captionWidth: 2560, adaLn: 256, timestepInner: 1024, patchWidth: 64 };
const TEXT = { width: 2560, inner: 9728, heads: 32, keyValueHeads: 8, headWidth: 128, vocabulary: 151_936 };
const VAE = { channels: [128, 256, 512, 512], latentChannels: 16, layersPerBlock: 2, groups: 32 };
const GROUP = 128;
const RANK = 32;
/** Standard deviation of uniform values: of a nibble, 0 to 15, and of a signed byte. */
const UINT4_DEVIATION = Math.sqrt((16 ** 2 - 1) / 12);
const INT8_DEVIATION = Math.sqrt((256 ** 2 - 1) / 12);
const SHARD_BYTES = 5e9;

/** A tensor to write: bytes at random, or bfloat16 of a mean and a deviation. */
export interface TensorPlan {
  name: string;
  dtype: 'U8' | 'I8' | 'BF16';
  shape: number[];
  mean: number;
  deviation: number;
}

/**
 * `layers` random layers of the true ZImageTransformer2DModel and `refiners` of each kind of refiner, with weights of realistic sizes, as `DIR/transformer` in the
 * layout of `Disty0/Z-Image-Turbo-SDNQ-*`. Returns that folder.
 */
export function writeRandomTransformer(dir: string, kind: Kind, layers: number, refiners = 1): Promise<string> {
  return writePart(dir, 'transformer', 'diffusion_pytorch_model', transformerConfig(kind, layers, refiners), transformerTensors(kind, layers, refiners));
}

/** The same of Qwen3-4B, as `DIR/text_encoder`. */
export function writeRandomTextEncoder(dir: string, kind: Kind, layers: number): Promise<string> {
  return writePart(
    dir,
    'text_encoder',
    'model',
    { ...textConfig(layers), quantization_config: quantizationConfig(kind) },
    textTensors(layers, quantized.bind(null, kind)),
  );
}

/** The same of the Flux VAE, as `DIR/vae`. */
export function writeRandomVae(dir: string): Promise<string> {
  return writePart(dir, 'vae', 'diffusion_pytorch_model', vaeConfig(), vaeTensors());
}

/** Writes a part; with `isSparse` its weights are a hole in the file, which takes no room on the disk and reads as zeros. */
export async function writePart(dir: string, part: string, stem: string, config: object, tensors: TensorPlan[], isSparse = false): Promise<string> {
  const folder = join(dir, part);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  const shards: TensorPlan[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    if (bytesOf(tensor) > room) {
      shards.push([]);
      room = SHARD_BYTES;
    }
    shards.at(-1)?.push(tensor);
    room -= bytesOf(tensor);
  }
  const number = (i: number) => String(i).padStart(5, '0');
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const file = shards.length === 1 ? `${stem}.safetensors` : `${stem}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const { name } of shard) weightMap[name] = file;
    await writeShard(join(folder, file), shard, isSparse);
  }
  if (shards.length > 1) {
    const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    await writeFile(join(folder, `${stem}.safetensors.index.json`), JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }));
  }
  return folder;
}

async function writeShard(path: string, tensors: readonly TensorPlan[], isSparse: boolean): Promise<void> {
  const file = await open(path, 'w');
  try {
    const header = safetensorsHeader(tensors);
    await file.write(header);
    if (isSparse) return await file.truncate(header.length + tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0));
    const chunk = new Uint8Array(1 << 24);
    for (const tensor of tensors) {
      const values = tensor.dtype === 'BF16' ? bfloat16Pool(tensor.mean, tensor.deviation) : null;
      for (let left = bytesOf(tensor); left > 0; ) {
        const part = chunk.subarray(0, Math.min(left, chunk.length));
        randomFillSync(part);
        if (values !== null) {
          const words = new Uint16Array(part.buffer, 0, part.length / 2);
          for (let i = 0; i < words.length; i++) words[i] = values[words[i] ?? 0] ?? 0;
        }
        await file.write(part);
        left -= part.length;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

const normals = torchRandn(0, 1 << 16);

/** 65,536 normally distributed bfloat16 values to pick from at random. */
function bfloat16Pool(mean: number, deviation: number): Uint16Array {
  const bits = new Uint32Array(normals.map((value) => mean + deviation * value).buffer);
  return Uint16Array.from(bits, (word) => (word + 0x8000) >>> 16);
}

function bytesOf({ dtype, shape }: TensorPlan): number {
  return shape.reduce((a, b) => a * b, 1) * (dtype === 'BF16' ? 2 : 1);
}

export function floats(name: string, shape: number[], deviation: number, mean = 0): TensorPlan {
  return { name, dtype: 'BF16', shape, mean, deviation };
}

/** A plain linear or convolution whose weights preserve the size of the activations. */
export function plain(name: string, shape: number[], bias: boolean): TensorPlan[] {
  const [out = 0, ...rest] = shape;
  const weight = floats(`${name}.weight`, shape, 1 / Math.sqrt(rest.reduce((a, b) => a * b, 1)));
  return bias ? [weight, floats(`${name}.bias`, [out], 0.02)] : [weight];
}

export function norm(name: string, width: number): TensorPlan {
  return floats(`${name}.weight`, [width], 0.1, 1);
}

/** A quantized linear [n, k] as sdnq 0.1 wrote it: bfloat16 scales; uint4 in groups of 128 with zero points and SVD, int8 in one group per row. */
function quantized(kind: Kind, name: string, n: number, k: number): TensorPlan[] {
  const deviation = 1 / Math.sqrt(k);
  if (kind === 'int8') {
    return [{ name: `${name}.weight`, dtype: 'I8', shape: [n, k], mean: 0, deviation: 0 }, floats(`${name}.scale`, [n, 1], 0, deviation / INT8_DEVIATION)];
  }
  const scale = deviation / UINT4_DEVIATION;
  const factor = Math.sqrt((0.1 * deviation) / Math.sqrt(RANK));
  return [
    { name: `${name}.weight`, dtype: 'U8', shape: [(n * k) / 2], mean: 0, deviation: 0 },
    floats(`${name}.scale`, [n, k / GROUP, 1], 0, scale),
    floats(`${name}.zero_point`, [n, k / GROUP, 1], 0, -7.5 * scale),
    floats(`${name}.svd_up`, [n, RANK], factor),
    floats(`${name}.svd_down`, [RANK, k], factor),
  ];
}

function transformerTensors(kind: Kind, layers: number, refiners: number): TensorPlan[] {
  const { width, heads, inner, captionWidth, adaLn, timestepInner, patchWidth } = DIT;
  const block = (name: string, modulation: 'none' | 'plain' | 'quantized'): TensorPlan[] => [
    ...['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap((part) => quantized(kind, `${name}.attention.${part}`, width, width)),
    norm(`${name}.attention.norm_q`, width / heads),
    norm(`${name}.attention.norm_k`, width / heads),
    ...quantized(kind, `${name}.feed_forward.w1`, inner, width),
    ...quantized(kind, `${name}.feed_forward.w2`, width, inner),
    ...quantized(kind, `${name}.feed_forward.w3`, inner, width),
    ...['attention_norm1', 'attention_norm2', 'ffn_norm1', 'ffn_norm2'].map((part) => norm(`${name}.${part}`, width)),
    ...(modulation === 'none' ? [] : [floats(`${name}.adaLN_modulation.0.bias`, [4 * width], 0.02)]),
    ...(modulation === 'plain' ? [floats(`${name}.adaLN_modulation.0.weight`, [4 * width, adaLn], 0.02)] : []),
    ...(modulation === 'quantized' ? quantized(kind, `${name}.adaLN_modulation.0`, 4 * width, adaLn) : []),
  ];
  const each = (count: number, part: (i: number) => TensorPlan[]) => Array.from({ length: count }, (_, i) => part(i)).flat();
  return [
    ...plain('all_x_embedder.2-1', [width, patchWidth], true),
    ...plain('all_final_layer.2-1.linear', [patchWidth, width], true),
    ...plain('all_final_layer.2-1.adaLN_modulation.1', [width, adaLn], true),
    ...plain('t_embedder.mlp.0', [timestepInner, 256], true),
    ...plain('t_embedder.mlp.2', [adaLn, timestepInner], true),
    norm('cap_embedder.0', captionWidth),
    ...plain('cap_embedder.1', [width, captionWidth], true),
    floats('x_pad_token', [1, width], 1),
    floats('cap_pad_token', [1, width], 1),
    ...each(refiners, (i) => block(`noise_refiner.${i}`, 'quantized')),
    ...each(refiners, (i) => block(`context_refiner.${i}`, 'none')),
    ...each(layers, (i) => block(`layers.${i}`, i === 0 ? 'plain' : 'quantized')),
  ];
}

/** Linears of a text encoder as `quantize` stores them. */
export function textTensors(layers: number, quantize: (name: string, n: number, k: number) => TensorPlan[]): TensorPlan[] {
  const { width, inner, heads, keyValueHeads, headWidth, vocabulary } = TEXT;
  const layer = (name: string): TensorPlan[] => [
    norm(`${name}.input_layernorm`, width),
    norm(`${name}.post_attention_layernorm`, width),
    norm(`${name}.self_attn.q_norm`, headWidth),
    norm(`${name}.self_attn.k_norm`, headWidth),
    ...quantize(`${name}.self_attn.q_proj`, heads * headWidth, width),
    ...quantize(`${name}.self_attn.k_proj`, keyValueHeads * headWidth, width),
    ...quantize(`${name}.self_attn.v_proj`, keyValueHeads * headWidth, width),
    ...quantize(`${name}.self_attn.o_proj`, width, heads * headWidth),
    ...quantize(`${name}.mlp.gate_proj`, inner, width),
    ...quantize(`${name}.mlp.up_proj`, inner, width),
    ...quantize(`${name}.mlp.down_proj`, width, inner),
  ];
  return [floats('embed_tokens.weight', [vocabulary, width], 1), ...Array.from({ length: layers }, (_, i) => layer(`layers.${i}`)).flat(), norm('norm', width)];
}

export function vaeTensors(latentChannels = VAE.latentChannels): TensorPlan[] {
  const { channels, layersPerBlock } = VAE;
  const [first = 0, last = 0] = [channels[0], channels.at(-1)];
  const groupNorm = (name: string, width: number) => [norm(name, width), floats(`${name}.bias`, [width], 0.02)];
  const conv = (name: string, out: number, width: number, kernel: number) => plain(name, [out, width, kernel, kernel], true);
  const resnet = (name: string, width: number, out: number) => [
    ...groupNorm(`${name}.norm1`, width),
    ...conv(`${name}.conv1`, out, width, 3),
    ...groupNorm(`${name}.norm2`, out),
    ...conv(`${name}.conv2`, out, out, 3),
    ...(width === out ? [] : conv(`${name}.conv_shortcut`, out, width, 1)),
  ];
  const middle = (name: string) => [
    ...resnet(`${name}.resnets.0`, last, last),
    ...groupNorm(`${name}.attentions.0.group_norm`, last),
    ...['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap((part) => plain(`${name}.attentions.0.${part}`, [last, last], true)),
    ...resnet(`${name}.resnets.1`, last, last),
  ];
  const tensors: TensorPlan[] = [...conv('encoder.conv_in', first, 3, 3)];
  let width = first;
  for (const [i, out] of channels.entries()) {
    for (let k = 0; k < layersPerBlock; k++) {
      tensors.push(...resnet(`encoder.down_blocks.${i}.resnets.${k}`, width, out));
      width = out;
    }
    if (i < channels.length - 1) tensors.push(...conv(`encoder.down_blocks.${i}.downsamplers.0.conv`, out, out, 3));
  }
  tensors.push(...middle('encoder.mid_block'), ...groupNorm('encoder.conv_norm_out', last), ...conv('encoder.conv_out', 2 * latentChannels, last, 3));
  tensors.push(...conv('decoder.conv_in', last, latentChannels, 3), ...middle('decoder.mid_block'));
  for (const [i, out] of [...channels].reverse().entries()) {
    for (let k = 0; k <= layersPerBlock; k++) {
      tensors.push(...resnet(`decoder.up_blocks.${i}.resnets.${k}`, width, out));
      width = out;
    }
    if (i < channels.length - 1) tensors.push(...conv(`decoder.up_blocks.${i}.upsamplers.0.conv`, out, out, 3));
  }
  return [...tensors, ...groupNorm('decoder.conv_norm_out', first), ...conv('decoder.conv_out', 3, first, 3)];
}

function quantizationConfig(kind: Kind): object {
  const svd = kind === 'uint4' ? { use_svd: true, svd_rank: RANK, svd_steps: 8 } : { use_svd: false };
  return {
    quant_method: 'sdnq',
    sdnq_version: '0.1.2',
    weights_dtype: kind,
    group_size: kind === 'uint4' ? 0 : -1,
    is_integer: true,
    use_quantized_matmul: false,
    dequantize_fp32: false,
    quant_conv: false,
    modules_to_not_convert: ['cap_embedder', 'all_final_layer', 'all_x_embedder', 't_embedder', 'layers.0.adaLN_modulation.0.weight', 'embed_tokens'],
    modules_dtype_dict: {},
    ...svd,
  };
}

function transformerConfig(kind: Kind, layers: number, refiners: number): object {
  return {
    _class_name: 'ZImageTransformer2DModel',
    _diffusers_version: '0.36.0',
    all_f_patch_size: [1],
    all_patch_size: [2],
    axes_dims: DIT.axes,
    axes_lens: [1536, 512, 512],
    cap_feat_dim: DIT.captionWidth,
    dim: DIT.width,
    in_channels: VAE.latentChannels,
    n_heads: DIT.heads,
    n_kv_heads: DIT.heads,
    n_layers: layers,
    n_refiner_layers: refiners,
    norm_eps: 1e-5,
    qk_norm: true,
    rope_theta: 256,
    t_scale: 1000,
    quantization_config: quantizationConfig(kind),
  };
}

export function textConfig(layers: number): object {
  return {
    architectures: ['Qwen3Model'],
    model_type: 'qwen3',
    attention_bias: false,
    attention_dropout: 0,
    dtype: 'bfloat16',
    head_dim: TEXT.headWidth,
    hidden_act: 'silu',
    hidden_size: TEXT.width,
    intermediate_size: TEXT.inner,
    max_position_embeddings: 40_960,
    num_attention_heads: TEXT.heads,
    num_hidden_layers: layers,
    num_key_value_heads: TEXT.keyValueHeads,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    tie_word_embeddings: true,
    use_cache: false,
    vocab_size: TEXT.vocabulary,
  };
}

export function vaeConfig(): object {
  return {
    _class_name: 'AutoencoderKL',
    _diffusers_version: '0.36.0',
    act_fn: 'silu',
    block_out_channels: VAE.channels,
    down_block_types: VAE.channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: VAE.channels.map(() => 'UpDecoderBlock2D'),
    force_upcast: true,
    in_channels: 3,
    latent_channels: VAE.latentChannels,
    layers_per_block: VAE.layersPerBlock,
    mid_block_add_attention: true,
    norm_num_groups: VAE.groups,
    out_channels: 3,
    sample_size: 1024,
    scaling_factor: 0.3611,
    shift_factor: 0.1159,
    use_post_quant_conv: false,
    use_quant_conv: false,
  };
}
