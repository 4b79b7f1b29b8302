import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/ir.ts';
import { add, attention, cast, concat, multiply, reshape, rmsNorm, rotate, silu } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import { scaled } from '../ops/numerics.ts';
import type { Weights } from '../ops/weights.ts';
import type { TransformerConfig } from './transformer-config.ts';

/**
 * ZImageTransformer2DModel as two graphs. What does not depend on the timestep (caption embedding and context refiner) is a graph of its own,
 * run once a prompt instead of once a step.
 * Reference: diffusers 0.42.1, `models/transformers/transformer_z_image.py`.
 */

export const ADALN_WIDTH = 256;
export const FREQUENCIES = 256;
export const TIMESTEP_INNER_WIDTH = 1024;
/** `Attention` is built with this epsilon for its query and key norms, whatever the config says. */
const QK_NORM_EPSILON = 1e-5;
const FINAL_NORM_EPSILON = 1e-6;

/**
 * Inputs: `text_embedding` [caption_tokens, caption width], `caption_pad` [caption_tokens, 1] (true where a token is padding),
 * `cos`, `sin` [caption_tokens, head / 2]. Output: `caption` [caption_tokens, width].
 */
export async function buildCaptionRefiner(graph: GraphBuilder, config: TransformerConfig, weights: Weights): Promise<Graph> {
  const text = graph.input('text_embedding', 'float32', ['caption_tokens', config.captionWidth]);
  const pad = graph.input('caption_pad', 'bool', ['caption_tokens', 1]);
  const tables = rotaryInputs(graph, 'caption_tokens', config, weights);
  const embedder = graph.scope('cap_embedder');
  const normed = rmsNorm(embedder, text, weights.float(embedder, 'cap_embedder.0.weight', [config.captionWidth]), config.normEpsilon);
  const embedded = await linear(embedder, weights, 'cap_embedder.1', normed, config.width, { bias: true, keepsFloats: true });
  let caption = cast(graph, graph.add('Where', [pad, weights.float(graph, 'cap_pad_token', [1, config.width]), embedded]), weights.numerics.stream);
  for (let i = 0; i < config.refinerLayers; i++) caption = await block(graph, config, weights, `context_refiner.${i}`, caption, tables, null);
  graph.output(cast(graph, caption, 'float32'), 'caption');
  return graph.finish();
}

/**
 * Inputs: `latents` [image_tokens, patch * patch * channels] (patches in the order row, column, channel), `image_pad` [image_tokens, 1],
 * `image_token_count` [1], `caption` [caption_tokens, width] from the caption refiner, `timestep` [1, 1] (0 noise, 1 image),
 * `cos`, `sin` [all tokens, head / 2], image tokens first. Output: `velocity` [image_tokens, patch * patch * channels], as the model has it.
 */
export async function buildDenoiser(graph: GraphBuilder, config: TransformerConfig, weights: Weights): Promise<Graph> {
  const patchWidth = config.patchSize * config.patchSize * config.latentChannels;
  const latents = graph.input('latents', 'float32', ['image_tokens', patchWidth]);
  const pad = graph.input('image_pad', 'bool', ['image_tokens', 1]);
  const imageTokenCount = graph.input('image_token_count', 'int64', [1]);
  const caption = graph.input('caption', 'float32', ['caption_tokens', config.width]);
  const timestep = graph.input('timestep', 'float32', [1, 1]);
  const tables = rotaryInputs(graph, 'image_tokens+caption_tokens', config, weights);
  const { stream } = weights.numerics;
  const patch = `${config.patchSize}-1`;

  const condition = await embedTimestep(graph.scope('t_embedder'), config, weights, timestep);
  const embedded = await linear(graph, weights, `all_x_embedder.${patch}`, latents, config.width, { bias: true, keepsFloats: true });
  let image = cast(graph, graph.add('Where', [pad, weights.float(graph, 'x_pad_token', [1, config.width]), embedded]), stream);
  for (let i = 0; i < config.refinerLayers; i++) image = await block(graph, config, weights, `noise_refiner.${i}`, image, tables, condition);

  let x = concat(graph, [image, cast(graph, caption, stream)], 0); // [image_tokens+caption_tokens, width]
  for (let i = 0; i < config.layers; i++) {
    // Only image tokens leave the last block, so only they ask there; all tokens still answer.
    const rows = i === config.layers - 1 ? imageTokenCount : null;
    x = await block(graph, config, weights, `layers.${i}`, x, tables, condition, rows);
  }
  const velocity = await finalLayer(graph.scope('final_layer'), config, weights, `all_final_layer.${patch}`, x, condition, patchWidth);
  graph.output(velocity, 'velocity');
  return graph.finish();
}

/**
 * `layers.INDEX` alone, to be measured and compared. Inputs: `x` [tokens, width], `condition` [1, ADALN_WIDTH or less],
 * `cos`, `sin` [tokens, head / 2]. Output: `y` [tokens, width].
 */
export async function buildLayer(graph: GraphBuilder, config: TransformerConfig, weights: Weights, index: number): Promise<Graph> {
  const x = graph.input('x', 'float32', ['tokens', config.width]);
  const condition = graph.input('condition', 'float32', [1, Math.min(config.width, ADALN_WIDTH)]);
  const tables = rotaryInputs(graph, 'tokens', config, weights);
  const y = await block(graph, config, weights, `layers.${index}`, cast(graph, x, weights.numerics.stream), tables, condition);
  graph.output(cast(graph, y, 'float32'), 'y');
  return graph.finish();
}

interface RotaryTables {
  cos: Value;
  sin: Value;
}

function rotaryInputs(graph: GraphBuilder, tokens: string, config: TransformerConfig, weights: Weights): RotaryTables {
  const shape = [tokens, config.headWidth / 2];
  const table = (name: string): Value => cast(graph, graph.input(name, 'float32', shape), weights.numerics.compute);
  return { cos: table('cos'), sin: table('sin') };
}

/** [1, 1] -> [1, ADALN_WIDTH or less]: sinusoid of 1000 t, then two linears. */
async function embedTimestep(graph: GraphBuilder, config: TransformerConfig, weights: Weights, timestep: Value): Promise<Value> {
  const half = FREQUENCIES / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp((-Math.log(10000) * i) / half));
  const scaled = multiply(graph, timestep, graph.scalar(config.timeScale));
  const angles = multiply(graph, scaled, graph.floats(frequencies, [1, half])); // [1, half]
  const wave = concat(graph, [graph.add('Cos', [angles]), graph.add('Sin', [angles])], 1); // [1, FREQUENCIES]
  const hidden = silu(graph, await linear(graph, weights, 't_embedder.mlp.0', wave, TIMESTEP_INNER_WIDTH, { bias: true, keepsFloats: true }));
  return linear(graph, weights, 't_embedder.mlp.2', hidden, Math.min(config.width, ADALN_WIDTH), { bias: true, keepsFloats: true });
}

/**
 * x [S, width] -> [S, width], or [image_tokens, width] where `rows` is given. Modulation scales and gates are folded into the norms' weights,
 * so that they cost no pass over the tokens: norm(x) * w * (1 + scale) is a norm with the weight w * (1 + scale). So is the scale of the numerics: what
 * attention and feed-forward leave is scaled by it, which the norm after each of them takes out again once its epsilon is scaled alike.
 */
async function block(
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

async function finalLayer(
  graph: GraphBuilder,
  config: TransformerConfig,
  weights: Weights,
  name: string,
  x: Value,
  condition: Value,
  patchWidth: number,
): Promise<Value> {
  const shift = await linear(graph, weights, `${name}.adaLN_modulation.1`, silu(graph, condition), config.width, { bias: true, keepsFloats: true });
  const scale = add(graph, reshape(graph, shift, [config.width]), graph.scalar(1));
  const normed = graph.add('LayerNormalization', [cast(graph, x, 'float32'), scale], { attributes: { axis: -1, epsilon: { float: FINAL_NORM_EPSILON } } });
  return linear(graph, weights, `${name}.linear`, normed, patchWidth, { bias: true, keepsFloats: true });
}

function firstRows(graph: GraphBuilder, x: Value, count: Value): Value {
  return graph.add('Slice', [x, graph.ints([0]), count], { hints: { size: 'image_tokens' } });
}
