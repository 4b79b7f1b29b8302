import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { add, attention, cast, multiply, reshape, rmsNorm, rotate, silu } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import { scaled } from '../ops/numerics.ts';
import type { Weights } from '../ops/weights.ts';
import type { TransformerConfig } from './transformer-config.ts';

/** `Attention` is built with this epsilon for its query and key norms, whatever the config says. */
const QK_NORM_EPSILON = 1e-5;

export interface RotaryTables {
  cos: Value;
  sin: Value;
}

export function rotaryInputs(graph: GraphBuilder, tokens: string, config: TransformerConfig, weights: Weights): RotaryTables {
  const shape = [tokens, config.headWidth / 2];
  const table = (name: string): Value => cast(graph, graph.input(name, 'float32', shape), weights.numerics.compute);
  return { cos: table('cos'), sin: table('sin') };
}

/**
 * x [S, width] -> [S, width], or [image_tokens, width] where `rows` is given. Modulation scales and gates are folded into the norms' weights,
 * so that they cost no pass over the tokens: norm(x) * w * (1 + scale) is a norm with the weight w * (1 + scale). So is the scale of the numerics: what
 * attention and feed-forward leave is scaled by it, which the norm after each of them takes out again once its epsilon is scaled alike.
 */
export async function transformerBlock(
  parent: GraphBuilder,
  config: TransformerConfig,
  weights: Weights,
  name: string,
  x: Value,
  tables: RotaryTables,
  condition: Value | null,
  rows: Value | null = null,
): Promise<Value> {
  const graph = parent.scope(name);
  const { stream, compute, innerScale } = weights.numerics;
  // without norms of queries and keys the scale would change the attention itself
  const attentionScale = config.qkNorm ? innerScale : 1;
  const modulation = condition && (await modulate(graph, config, weights, name, condition));
  const norm = (part: string, by: Value | undefined, scale = 1): Value => {
    const weight = weights.float(graph, `${name}.${part}.weight`, [config.width]);
    const modulated = by ? multiply(graph, weight, by) : weight;
    return cast(graph, scale === 1 ? modulated : multiply(graph, modulated, graph.scalar(scale)), stream);
  };
  const epsilon = config.normEpsilon;

  const normed = cast(graph, rmsNorm(graph, x, norm('attention_norm1', modulation?.attentionScale, attentionScale), epsilon), compute);
  const attended = cast(graph, await selfAttention(graph, config, weights, `${name}.attention`, normed, tables, rows, attentionScale), stream);
  const residual = rows ? firstRows(graph, x, rows) : x;
  const attention = rmsNorm(graph, attended, norm('attention_norm2', modulation?.attentionGate), epsilon * attentionScale ** 2);
  const afterAttention = add(graph, residual, attention);

  const feed = cast(graph, rmsNorm(graph, afterAttention, norm('ffn_norm1', modulation?.feedScale), epsilon), compute);
  const fed = cast(graph, await feedForward(graph, weights, `${name}.feed_forward`, feed, config), stream);
  return add(graph, afterAttention, rmsNorm(graph, fed, norm('ffn_norm2', modulation?.feedGate), epsilon * innerScale ** 2));
}

interface Modulation {
  attentionScale: Value;
  attentionGate: Value;
  feedScale: Value;
  feedGate: Value;
}

/** [1, ADALN_WIDTH] -> four vectors [width]. */
async function modulate(graph: GraphBuilder, config: TransformerConfig, weights: Weights, name: string, condition: Value): Promise<Modulation> {
  const all = await linear(graph, weights, `${name}.adaLN_modulation.0`, condition, 4 * config.width, { bias: true });
  const sizes = [config.width, config.width, config.width, config.width];
  const parts = graph.addMany('Split', [reshape(graph, all, [4 * config.width]), graph.ints(sizes)], { attributes: { axis: 0 }, hints: { sizes } });
  const [attentionScale, attentionGate, feedScale, feedGate] = parts as [Value, Value, Value, Value];
  const onePlus = (value: Value): Value => add(graph, value, graph.scalar(1));
  return {
    attentionScale: onePlus(attentionScale),
    attentionGate: graph.add('Tanh', [attentionGate]),
    feedScale: onePlus(feedScale),
    feedGate: graph.add('Tanh', [feedGate]),
  };
}

/** x [S, width] is scaled by `scale`, and so is what comes out. */
async function selfAttention(
  graph: GraphBuilder,
  config: TransformerConfig,
  weights: Weights,
  name: string,
  x: Value,
  tables: RotaryTables,
  rows: Value | null,
  scale: number,
): Promise<Value> {
  const asking = rows ? firstRows(graph, x, rows) : x;
  const head = async (part: 'q' | 'k', from: Value): Promise<Value> => {
    const projected = await linear(graph, weights, `${name}.to_${part}`, from, config.width);
    const tokens = projected.shape[0] ?? 0;
    const flat = [1, tokens, config.width];
    if (!config.qkNorm) return rotate(graph, reshape(graph, projected, flat), tables.cos, tables.sin, config.heads, true);
    const weight = cast(graph, weights.float(graph, `${name}.norm_${part}.weight`, [config.headWidth]), weights.numerics.compute);
    const normed = rmsNorm(graph, reshape(graph, projected, [tokens, config.heads, config.headWidth]), weight, QK_NORM_EPSILON * scale ** 2);
    return rotate(graph, reshape(graph, normed, flat), tables.cos, tables.sin, config.heads, true);
  };
  const q = await head('q', asking);
  const k = await head('k', x);
  const v = reshape(graph, await linear(graph, weights, `${name}.to_v`, x, config.width), [1, x.shape[0] ?? 0, config.width]);
  const mixed = attention(graph, q, k, v, config.heads); // [1, asking tokens, width]
  return linear(graph, weights, `${name}.to_out.0`, reshape(graph, mixed, [asking.shape[0] ?? 0, config.width]), config.width);
}

export function feedForwardWidth({ width }: TransformerConfig): number {
  return Math.trunc((width / 3) * 8);
}

/** SwiGLU: w2(silu(w1 x) * w3 x), times the numerics' scale. */
async function feedForward(graph: GraphBuilder, weights: Weights, name: string, x: Value, config: TransformerConfig): Promise<Value> {
  const inner = feedForwardWidth(config);
  const gate = silu(graph, await linear(graph, weights, `${name}.w1`, x, inner));
  const value = scaled(graph, await linear(graph, weights, `${name}.w3`, x, inner), weights.numerics);
  return linear(graph, weights, `${name}.w2`, multiply(graph, gate, value), config.width);
}

export function firstRows(graph: GraphBuilder, x: Value, count: Value): Value {
  return graph.add('Slice', [x, graph.ints([0]), count], { hints: { size: 'image_tokens' } });
}
