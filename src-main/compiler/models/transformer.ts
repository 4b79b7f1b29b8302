import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/ir.ts';
import { add, cast, concat, multiply, reshape, rmsNorm, silu } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import type { Weights } from '../ops/weights.ts';
import { type Control, createControlBranch } from './controlnet.ts';
import { rotaryInputs, transformerBlock } from './transformer-block.ts';
import type { TransformerConfig } from './transformer-config.ts';

/**
 * ZImageTransformer2DModel as two graphs. What does not depend on the timestep (caption embedding and context refiner) is a graph of its own,
 * run once a prompt instead of once a step.
 * Reference: diffusers 0.42.1, `models/transformers/transformer_z_image.py`.
 */

export const ADALN_WIDTH = 256;
export const FREQUENCIES = 256;
export const TIMESTEP_INNER_WIDTH = 1024;
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
  for (let i = 0; i < config.refinerLayers; i++) caption = await transformerBlock(graph, config, weights, `context_refiner.${i}`, caption, tables, null);
  graph.output(cast(graph, caption, 'float32'), 'caption');
  return graph.finish();
}

/**
 * Inputs: `latents` [image_tokens, patch * patch * channels] (patches in the order row, column, channel), `image_pad` [image_tokens, 1],
 * `image_token_count` [1], `caption` [caption_tokens, width] from the caption refiner, `timestep` [1, 1] (0 noise, 1 image),
 * `cos`, `sin` [all tokens, head / 2], image tokens first. Output: `velocity` [image_tokens, patch * patch * channels], as the model has it.
 */
export async function buildDenoiser(graph: GraphBuilder, config: TransformerConfig, weights: Weights, control: Control | null = null): Promise<Graph> {
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
  const padded = (tokens: Value): Value => cast(graph, graph.add('Where', [pad, weights.float(graph, 'x_pad_token', [1, config.width]), tokens]), stream);
  const embedded = padded(await linear(graph, weights, `all_x_embedder.${patch}`, latents, config.width, { bias: true, keepsFloats: true }));
  const noiseRefiner = (x: Value, i: number): Promise<Value> => transformerBlock(graph, config, weights, `noise_refiner.${i}`, x, tables, condition);
  let image = embedded;
  for (let i = 0; i < config.refinerLayers; i++) image = await noiseRefiner(image, i);

  const captionTokens = cast(graph, caption, stream);
  let x = concat(graph, [image, captionTokens], 0); // [image_tokens+caption_tokens, width]
  const branch =
    control && (await createControlBranch(graph, config, control, { embedded, refined: image, captionTokens, tables, condition, padded, noiseRefiner }));
  for (let i = 0; i < config.layers; i++) {
    // Only image tokens leave the last block, so only they ask there; all tokens still answer.
    const rows = i === config.layers - 1 ? imageTokenCount : null;
    x = await transformerBlock(graph, config, weights, `layers.${i}`, x, tables, condition, rows);
    const hint = branch && (await branch.hintAfter(i, rows));
    if (hint) x = add(graph, x, hint);
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
  const y = await transformerBlock(graph, config, weights, `layers.${index}`, cast(graph, x, weights.numerics.stream), tables, condition);
  graph.output(cast(graph, y, 'float32'), 'y');
  return graph.finish();
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
