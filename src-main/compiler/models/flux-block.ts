import { MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Dim, Value } from '../graph/ir.ts';
import { add, attention, cast, concat, multiply, reshape, rmsNorm, rotate, silu, slice } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import { scaled } from '../ops/numerics.ts';
import type { Weights } from '../ops/weights.ts';
import type { FluxConfig } from './flux-config.ts';

/** What all blocks share. */
export interface FluxTrunk {
  config: FluxConfig;
  weights: Weights;
  /** [all tokens, head / 2] */
  cos: Value;
  sin: Value;
  /** [1], where the image's tokens end */
  imageEnd: Value;
}

/** Vectors [width] of the stream's type; `scale` has its 1 added. */
export interface Modulation {
  shift: Value;
  scale: Value;
  gate: Value;
}

export interface StreamModulation {
  attention: Modulation;
  feed: Modulation;
}

interface Streams {
  /** [tokens, width], image and references */
  image: Value;
  /** [MAX_PROMPT_TOKENS, width] */
  text: Value;
}

/** Text and image with weights of their own, which attend to each other. */
export async function doubleBlock(
  graph: GraphBuilder,
  trunk: FluxTrunk,
  name: string,
  { image, text }: Streams,
  { ofImage, ofText }: { ofImage: StreamModulation; ofText: StreamModulation },
): Promise<Streams> {
  const { config, weights } = trunk;
  const { width } = config;
  const { compute } = weights.numerics;
  const normed = (x: Value, by: Modulation): Value => cast(graph, modulatedNorm(graph, config, x, by), compute);
  const [imageIn, textIn] = [normed(image, ofImage.attention), normed(text, ofText.attention)];
  const project = async (textPart: string, imagePart: string): Promise<[Value, Value]> => [
    await linear(graph, weights, `${name}.attn.${textPart}`, textIn, width),
    await linear(graph, weights, `${name}.attn.${imagePart}`, imageIn, width),
  ];
  const head = async (part: 'q' | 'k'): Promise<Value> => {
    const [ofTextRows, ofImageRows] = await project(`add_${part}_proj`, `to_${part}`);
    const textRows = headNorm(graph, trunk, `${name}.attn.norm_added_${part}`, ofTextRows);
    return turned(graph, trunk, concat(graph, [textRows, headNorm(graph, trunk, `${name}.attn.norm_${part}`, ofImageRows)], 0));
  };
  const mixed = attend(graph, trunk, await head('q'), await head('k'), concat(graph, await project('add_v_proj', 'to_v'), 0));
  const [textRows, imageRows] = [slice(graph, mixed, 0, 0, MAX_PROMPT_TOKENS, MAX_PROMPT_TOKENS), slice(graph, mixed, 0, MAX_PROMPT_TOKENS, null, 'tokens')];

  const after = async (x: Value, attended: Value, out: string, feed: string, by: StreamModulation): Promise<Value> => {
    const y = gated(graph, trunk, x, await linear(graph, weights, `${name}.attn.${out}`, attended, width), by.attention);
    const inner = await linear(graph, weights, `${name}.${feed}.linear_in`, normed(y, by.feed), 2 * config.innerWidth);
    const fed = await linear(graph, weights, `${name}.${feed}.linear_out`, gatedUnit(graph, trunk, inner), width);
    return gated(graph, trunk, y, fed, by.feed, weights.numerics.innerScale);
  };
  return {
    image: await after(image, imageRows, 'to_out.0', 'ff', ofImage),
    text: await after(text, textRows, 'to_add_out', 'ff_context', ofText),
  };
}

/** Attention and feed-forward side by side; x [all tokens, width] -> the same, or [image_tokens, width] after the last block: no other tokens leave it. */
export async function singleBlock(graph: GraphBuilder, trunk: FluxTrunk, name: string, x: Value, by: Modulation, isLast: boolean): Promise<Value> {
  const { config, weights, imageEnd } = trunk;
  const { width, innerWidth } = config;
  const { compute, innerScale } = weights.numerics;
  const normed = cast(graph, modulatedNorm(graph, config, x, by), compute);
  const of = 3 * width + 2 * innerWidth;
  // the weight is one, its products are not: all of them at once would be the largest thing in memory
  const project = (rows: Value, from: number, count: number): Promise<Value> =>
    linear(graph, weights, `${name}.attn.to_qkv_mlp_proj`, rows, count, { rows: { from, of } });
  const asking = (rows: Value): Value => (isLast ? slice(graph, rows, 0, MAX_PROMPT_TOKENS, imageEnd, 'image_tokens') : rows);
  const asked = asking(normed);
  const fed = gatedUnit(graph, trunk, await project(asked, 3 * width, 2 * innerWidth));
  const q = turned(graph, trunk, headNorm(graph, trunk, `${name}.attn.norm_q`, await project(asked, 0, width)), isLast ? MAX_PROMPT_TOKENS : 0);
  const k = turned(graph, trunk, headNorm(graph, trunk, `${name}.attn.norm_k`, await project(normed, width, width)));
  const mixed = scaled(graph, attend(graph, trunk, q, k, await project(normed, 2 * width, width)), weights.numerics);
  const out = await linear(graph, weights, `${name}.attn.to_out`, concat(graph, [mixed, fed], 1), width);
  return gated(graph, trunk, asking(x), out, by, innerScale);
}

/** A layer norm without weights of its own, times `scale`, plus `shift`. */
export function modulatedNorm(graph: GraphBuilder, { epsilon }: FluxConfig, x: Value, { scale, shift }: Pick<Modulation, 'scale' | 'shift'>): Value {
  return graph.add('LayerNormalization', [x, scale, shift], { attributes: { axis: -1, epsilon: { float: epsilon } } });
}

/** x plus `gate` times y, which is scaled by `scale`. */
function gated(graph: GraphBuilder, { weights }: FluxTrunk, x: Value, y: Value, { gate }: Modulation, scale = 1): Value {
  const factor = scale === 1 ? gate : multiply(graph, gate, cast(graph, graph.scalar(1 / scale), weights.numerics.stream));
  return add(graph, x, multiply(graph, cast(graph, y, weights.numerics.stream), factor));
}

/** SwiGLU, the first half of the columns being the gate; scaled by the numerics' scale. */
function gatedUnit(graph: GraphBuilder, { config, weights }: FluxTrunk, x: Value): Value {
  const { innerWidth } = config;
  const gate = silu(graph, slice(graph, x, 1, 0, innerWidth, innerWidth));
  return multiply(graph, gate, scaled(graph, slice(graph, x, 1, innerWidth, 2 * innerWidth, innerWidth), weights.numerics));
}

/** The norm of each head of x [rows, width]. */
function headNorm(graph: GraphBuilder, { config, weights }: FluxTrunk, name: string, x: Value): Value {
  const { heads, headWidth, width, epsilon } = config;
  const rows = x.shape[0] ?? 0;
  const weight = cast(graph, weights.float(graph, `${name}.weight`, [headWidth]), weights.numerics.compute);
  return reshape(graph, rmsNorm(graph, reshape(graph, x, [rows, heads, headWidth]), weight, epsilon), [rows, width]);
}

/** x [rows, width], whose rows are the tokens from `first` on -> [1, rows, width], turned by their positions. */
function turned(graph: GraphBuilder, { config, cos, sin }: FluxTrunk, x: Value, first = 0): Value {
  return rotate(graph, batch(graph, x), cos, sin, config.heads, true, first);
}

/** v [rows, width] -> [asking rows, width]. */
function attend(graph: GraphBuilder, { config }: FluxTrunk, q: Value, k: Value, v: Value): Value {
  return reshape(graph, attention(graph, q, k, batch(graph, v), config.heads), [q.shape[1] ?? 0, config.width]);
}

function batch(graph: GraphBuilder, x: Value): Value {
  const [rows = 0, width = 0]: readonly Dim[] = x.shape;
  return reshape(graph, x, [1, rows, width]);
}
