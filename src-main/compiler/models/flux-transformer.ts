import { MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/ir.ts';
import { add, cast, concat, multiply, silu } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import type { Weights } from '../ops/weights.ts';
import { doubleBlock, type FluxTrunk, modulatedNorm, singleBlock } from './flux-block.ts';
import type { FluxConfig } from './flux-config.ts';

/**
 * Flux2Transformer2DModel as three graphs: what depends on the prompt only, what depends on the timestep only, and the blocks.
 * Reference: diffusers 0.42.1, `models/transformers/transformer_flux2.py`.
 */

const TIME_SCALE = 1000;
const LONGEST_PERIOD = 10_000;

/** Vectors [width] of one timestep, in this order: shift, scale and gate of attention and feed-forward, for image and text; then for single blocks, and for the end. */
const MODULATIONS = [
  { name: 'double_stream_modulation_img.linear', vectors: 6 },
  { name: 'double_stream_modulation_txt.linear', vectors: 6 },
  { name: 'single_stream_modulation.linear', vectors: 3 },
  { name: 'norm_out.linear', vectors: 2 },
] as const;
const ALL_VECTORS = MODULATIONS.reduce((sum, { vectors }) => sum + vectors, 0);

/** Values of one timestep's modulation. */
function modulationWidth({ width }: FluxConfig): number {
  return ALL_VECTORS * width;
}

/** Input: `text_embedding` [MAX_PROMPT_TOKENS, text width], padding rows included. Output: `text` [MAX_PROMPT_TOKENS, width]. */
export async function buildPrompt(graph: GraphBuilder, config: FluxConfig, weights: Weights): Promise<Graph> {
  const embedding = graph.input('text_embedding', 'float32', [MAX_PROMPT_TOKENS, config.textWidth]);
  graph.output(await linear(graph, weights, 'context_embedder', embedding, config.width, { keepsFloats: true }), 'text');
  return graph.finish();
}

/** Input: `times` [steps, 1], 1 noise and 0 image. Output: `modulation` [steps, modulationWidth]. All steps of a job in one run, so its weights can leave. */
export async function buildModulation(graph: GraphBuilder, config: FluxConfig, weights: Weights): Promise<Graph> {
  const times = graph.input('times', 'float32', ['steps', 1]);
  const half = config.frequencies / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp((-Math.log(LONGEST_PERIOD) * i) / half));
  const angles = multiply(graph, multiply(graph, times, graph.scalar(TIME_SCALE)), graph.floats(frequencies, [1, half])); // [steps, half]
  const wave = cast(graph, concat(graph, [graph.add('Cos', [angles]), graph.add('Sin', [angles])], 1), weights.numerics.compute);
  const project = (name: string, x: Value, vectors: number): Promise<Value> => linear(graph, weights, name, x, vectors * config.width, { keepsFloats: true });
  const embedder = 'time_guidance_embed.timestep_embedder';
  const time = silu(graph, await project(`${embedder}.linear_2`, silu(graph, await project(`${embedder}.linear_1`, wave, 1)), 1));
  const vectors: Value[] = [];
  for (const modulation of MODULATIONS) vectors.push(await project(modulation.name, time, modulation.vectors));
  graph.output(cast(graph, concat(graph, vectors, 1), 'float32'), 'modulation');
  return graph.finish();
}

/**
 * Inputs: `tokens` [tokens, channels], first of the image, then of the references; `image_end` [1], text and image tokens together; `text`
 * [MAX_PROMPT_TOKENS, width]; `modulation` [modulationWidth] of this step; `cos`, `sin` [MAX_PROMPT_TOKENS+tokens, head / 2] in the order text, image,
 * references. Output: `velocity` [image_tokens, channels].
 */
export async function buildFluxDenoiser(graph: GraphBuilder, config: FluxConfig, weights: Weights): Promise<Graph> {
  const { stream, compute } = weights.numerics;
  const tokens = graph.input('tokens', 'float32', ['tokens', config.channels]);
  const imageEnd = graph.input('image_end', 'int64', [1]);
  let text = cast(graph, graph.input('text', 'float32', [MAX_PROMPT_TOKENS, config.width]), stream);
  const modulation = graph.input('modulation', 'float32', [modulationWidth(config)]);
  const table = (name: string): Value => cast(graph, graph.input(name, 'float32', [`${MAX_PROMPT_TOKENS}+tokens`, config.headWidth / 2]), compute);
  const trunk: FluxTrunk = { config, weights, cos: table('cos'), sin: table('sin'), imageEnd };

  const sizes = new Array<number>(ALL_VECTORS).fill(config.width);
  const vectors = graph.addMany('Split', [cast(graph, modulation, stream), graph.ints(sizes)], { attributes: { axis: 0 }, hints: { sizes } });
  let used = 0;
  const next = (): Value => vectors[used++] as Value;
  const shiftScaleGate = () => ({ shift: next(), scale: add(graph, next(), cast(graph, graph.scalar(1), stream)), gate: next() });
  const ofImage = { attention: shiftScaleGate(), feed: shiftScaleGate() };
  const ofText = { attention: shiftScaleGate(), feed: shiftScaleGate() };
  const ofSingle = shiftScaleGate();
  // at the end the scale comes first
  const endScale = add(graph, cast(graph, next(), 'float32'), graph.scalar(1));
  const endShift = cast(graph, next(), 'float32');

  let image = cast(graph, await linear(graph, weights, 'x_embedder', tokens, config.width, { keepsFloats: true }), stream);
  for (let i = 0; i < config.doubleBlocks; i++) {
    ({ image, text } = await doubleBlock(graph.scope(`transformer_blocks.${i}`), trunk, `transformer_blocks.${i}`, { image, text }, { ofImage, ofText }));
  }
  let x = concat(graph, [text, image], 0); // [MAX_PROMPT_TOKENS+tokens, width]
  for (let i = 0; i < config.singleBlocks; i++) {
    const name = `single_transformer_blocks.${i}`;
    x = await singleBlock(graph.scope(name), trunk, name, x, ofSingle, i === config.singleBlocks - 1);
  }
  const normed = modulatedNorm(graph, config, cast(graph, x, 'float32'), { scale: endScale, shift: endShift });
  graph.output(await linear(graph, weights, 'proj_out', normed, config.channels, { keepsFloats: true }), 'velocity');
  return graph.finish();
}
