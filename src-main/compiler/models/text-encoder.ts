import { z } from 'zod';
import { MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { FloatType, Graph, Value } from '../graph/ir.ts';
import { add, attention, cast, concat, multiply, reshape, rmsNorm, rotate, silu } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import { scaled } from '../ops/numerics.ts';
import type { Weights } from '../ops/weights.ts';
import { parseConfig } from './parse-config.ts';

/** Qwen3 as a text encoder. Reference: transformers 5, `models/qwen3/modeling_qwen3.py`. */
export interface TextEncoderConfig {
  vocabulary: number;
  width: number;
  innerWidth: number;
  layers: number;
  heads: number;
  keyValueHeads: number;
  headWidth: number;
  normEpsilon: number;
  ropeTheta: number;
  attentionBias: boolean;
}

const size = z.number().int().positive();
const schema = z.object({
  model_type: z.literal('qwen3'),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: z.number().int().min(2),
  num_attention_heads: size,
  num_key_value_heads: size,
  head_dim: size,
  hidden_act: z.literal('silu'),
  rms_norm_eps: z.number().positive(),
  attention_bias: z.boolean().default(false),
  use_sliding_window: z.literal(false).default(false),
  // transformers 4 has rope_theta beside the sizes, 5 inside rope_parameters
  rope_theta: z.number().positive().optional(),
  rope_scaling: z.null().optional(),
  rope_parameters: z.object({ rope_theta: z.number().positive(), rope_type: z.literal('default') }).optional(),
});

/** Throws `checkpoint_missing`, `checkpoint_damaged` or, for another architecture, `checkpoint_unsupported`. */
export async function loadTextEncoderConfig(dir: string): Promise<TextEncoderConfig> {
  const { value, refuse } = await parseConfig(dir, 'config.json', schema);
  const ropeTheta = value.rope_parameters?.rope_theta ?? value.rope_theta;
  if (ropeTheta === undefined) throw refuse('rope_theta is missing, beside the sizes and in rope_parameters');
  if (value.num_attention_heads % value.num_key_value_heads !== 0) {
    throw refuse(`num_attention_heads ${value.num_attention_heads} must be a multiple of num_key_value_heads ${value.num_key_value_heads}`);
  }
  return {
    vocabulary: value.vocab_size,
    width: value.hidden_size,
    innerWidth: value.intermediate_size,
    layers: value.num_hidden_layers,
    heads: value.num_attention_heads,
    keyValueHeads: value.num_key_value_heads,
    headWidth: value.head_dim,
    normEpsilon: value.rms_norm_eps,
    ropeTheta,
    attentionBias: value.attention_bias,
  };
}

export interface TextEncoderUse {
  /** The residual stream after each of these counts of layers, side by side. Later layers, the final norm and the head are not built. */
  takenAfter: readonly number[];
  /** Whether all prompts are as long as the longest; then the graph takes `attention_bias` [1, 1, tokens, tokens], which is added to the scores. */
  isPadded: boolean;
}

/** Inputs: `input_ids` [tokens], and `attention_bias` where the prompt is padded. Output: `text_embedding` [tokens, taken layers * width]. */
export async function buildTextEncoder(graph: GraphBuilder, config: TextEncoderConfig, weights: Weights, use: TextEncoderUse): Promise<Graph> {
  const { takenAfter, isPadded } = use;
  const ids = graph.input('input_ids', 'int64', [isPadded ? MAX_PROMPT_TOKENS : 'tokens']);
  const bias = isPadded ? graph.input('attention_bias', 'float32', [1, 1, MAX_PROMPT_TOKENS, MAX_PROMPT_TOKENS]) : null;
  const mask = bias === null ? 'causal' : cast(graph, bias, weights.numerics.compute);
  // gathered before it is widened: the whole table in float32 would be the largest thing in memory
  const table = weights.stored(graph, 'embed_tokens.weight', [config.vocabulary, config.width]);
  let x = cast(graph, graph.add('Gather', [table, ids], { attributes: { axis: 0 } }), weights.numerics.stream); // [tokens, width]
  const tables = rotaryTables(graph, config, weights.numerics.compute);
  const taken: Value[] = [];
  for (let i = 0; i < Math.max(...takenAfter); i++) {
    x = await layer(graph.scope(`layers.${i}`), config, weights, `layers.${i}`, x, { tables, mask });
    if (takenAfter.includes(i + 1)) taken.push(x);
  }
  graph.output(cast(graph, taken.length === 1 ? x : concat(graph, taken, 1), 'float32'), 'text_embedding');
  return graph.finish();
}

interface RotaryTables {
  cos: Value;
  sin: Value;
}

interface Positions {
  tables: RotaryTables;
  mask: 'causal' | Value;
}

/** [MAX_PROMPT_TOKENS, head / 2] each, in float32 steps as `Qwen3RotaryEmbedding` computes them. */
function rotaryTables(graph: GraphBuilder, config: TextEncoderConfig, type: FloatType): RotaryTables {
  const half = config.headWidth / 2;
  const cos = new Float32Array(MAX_PROMPT_TOKENS * half);
  const sin = new Float32Array(MAX_PROMPT_TOKENS * half);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(1 / Math.fround(config.ropeTheta ** Math.fround((2 * i) / config.headWidth)));
    for (let position = 0; position < MAX_PROMPT_TOKENS; position++) {
      const angle = Math.fround(position * frequency);
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  const table = (values: Float32Array): Value => cast(graph, graph.floats(values, [MAX_PROMPT_TOKENS, half]), type);
  return { cos: table(cos), sin: table(sin) };
}

/** [tokens, width] -> [tokens, width]. */
async function layer(graph: GraphBuilder, config: TextEncoderConfig, weights: Weights, name: string, x: Value, positions: Positions): Promise<Value> {
  const { stream, compute, innerScale } = weights.numerics;
  const norm = (part: string, of: Value): Value => {
    const weight = cast(graph, weights.float(graph, `${name}.${part}.weight`, [config.width]), stream);
    return cast(graph, rmsNorm(graph, of, weight, config.normEpsilon), compute);
  };
  const attended = await selfAttention(graph, config, weights, `${name}.self_attn`, norm('input_layernorm', x), positions);
  const afterAttention = add(graph, x, cast(graph, attended, stream));
  const feed = norm('post_attention_layernorm', afterAttention);
  const gate = silu(graph, await linear(graph, weights, `${name}.mlp.gate_proj`, feed, config.innerWidth));
  const value = scaled(graph, await linear(graph, weights, `${name}.mlp.up_proj`, feed, config.innerWidth), weights.numerics);
  const fed = cast(graph, await linear(graph, weights, `${name}.mlp.down_proj`, multiply(graph, gate, value), config.width), stream);
  return add(graph, afterAttention, innerScale === 1 ? fed : multiply(graph, fed, graph.scalar(1 / innerScale)));
}

/** Attention with grouped keys and values; [tokens, width] -> [tokens, width]. */
async function selfAttention(
  graph: GraphBuilder,
  config: TextEncoderConfig,
  weights: Weights,
  name: string,
  x: Value,
  { tables, mask }: Positions,
): Promise<Value> {
  const { heads, keyValueHeads, headWidth } = config;
  const tokens = x.shape[0] ?? 0;
  const bias = config.attentionBias;
  const project = (part: string, count: number): Promise<Value> => linear(graph, weights, `${name}.${part}_proj`, x, count * headWidth, { bias });
  const head = async (part: 'q' | 'k', count: number): Promise<Value> => {
    const perHead = reshape(graph, await project(part, count), [tokens, count, headWidth]);
    const weight = cast(graph, weights.float(graph, `${name}.${part}_norm.weight`, [headWidth]), weights.numerics.compute);
    const normed = rmsNorm(graph, perHead, weight, config.normEpsilon);
    return rotate(graph, reshape(graph, normed, [1, tokens, count * headWidth]), tables.cos, tables.sin, count, false);
  };
  // each key and value head serves heads / keyValueHeads query heads in a row
  const owner = graph.ints(Array.from({ length: heads }, (_, i) => Math.floor((i * keyValueHeads) / heads)));
  const spread = (kv: Value): Value => {
    const perHead = reshape(graph, kv, [tokens, keyValueHeads, headWidth]);
    return reshape(graph, graph.add('Gather', [perHead, owner], { attributes: { axis: 1 } }), [1, tokens, heads * headWidth]);
  };
  const q = await head('q', heads);
  const k = spread(await head('k', keyValueHeads));
  const v = spread(await project('v', keyValueHeads));
  const mixed = attention(graph, q, k, v, heads, mask); // [1, tokens, heads * headWidth]
  return linear(graph, weights, `${name}.o_proj`, reshape(graph, mixed, [tokens, heads * headWidth]), config.width, { bias });
}
