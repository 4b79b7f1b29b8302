import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { add, cast, concat, multiply } from '../ops/basic.ts';
import { linear } from '../ops/linear.ts';
import type { Weights } from '../ops/weights.ts';
import type { TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import { firstRows, type RotaryTables, transformerBlock } from './transformer-block.ts';
import type { TransformerConfig } from './transformer-config.ts';

/** Latents, the mask, and the latents of the image that is repainted. */
const INPAINT_CHANNELS = 33;

/** The published generations of Z-Image's ControlNet: `1` has a refiner of its own, `2.0` runs its layers twice, `2.1` has a refiner that gives hints. */
export interface ControlNetConfig {
  version: '1' | '2.0' | '2.1';
  channels: number;
  layers: number;
}

/** Files name neither their version nor their places; both follow from the tensors. Throws `controlnet_unsupported`. Reference: diffusers 0.42.1, `models/controlnets/controlnet_z_image.py`. */
export async function describeControlNet({ dir: path, tensors }: TensorTable, config: TransformerConfig): Promise<ControlNetConfig> {
  const refuse = (reason: string): AppError =>
    new AppError('controlnet_unsupported', `${path} cannot be used as a ControlNet of this model: ${reason}.`, { path });
  const embedder = `control_all_x_embedder.${config.patchSize}-1.weight`;
  const [width, patchWidth = 0] = tensors.get(embedder)?.shape ?? [];
  if (width === undefined) throw refuse(`it has no tensor ${quoteValue(embedder)}`);
  if (width !== config.width) throw refuse(`it is made for a width of ${width}, and the model has ${config.width}`);
  const channels = patchWidth / config.patchSize ** 2;
  const allowed = [config.latentChannels, INPAINT_CHANNELS];
  if (!allowed.includes(channels)) throw refuse(`it takes ${channels} channels; ${allowed.join(' or ')} are supported`);
  let layers = 0;
  while (tensors.has(`control_layers.${layers}.after_proj.weight`)) layers++;
  if (layers === 0 || layers > config.layers) throw refuse(`it has ${layers} control layers; 1 to ${config.layers} are possible`);
  const hinting = tensors.get('control_noise_refiner.0.before_proj.weight');
  if (hinting !== undefined && (await readFloats(hinting)).some((value) => value !== 0)) return { version: '2.1', channels, layers };
  return { version: channels === INPAINT_CHANNELS ? '2.0' : '1', channels, layers };
}

export interface Control {
  config: ControlNetConfig;
  weights: Weights;
}

/** Values of the denoiser that the branch reads, [tokens, width]. */
interface Trunk {
  /** Image tokens before and after the noise refiner. */
  embedded: Value;
  refined: Value;
  captionTokens: Value;
  tables: RotaryTables;
  condition: Value;
  /** Puts the pad token into rows that are padding. */
  padded(tokens: Value): Value;
  noiseRefiner(x: Value, index: number): Promise<Value>;
}

export interface ControlBranch {
  /** What is added after this layer of the transformer, or null; `rows` keeps the image tokens. */
  hintAfter(layer: number, rows: Value | null): Promise<Value | null>;
}

/**
 * The branch beside the transformer. Adds the inputs `control` [image_tokens, patch * patch * channels] and `control_scale` [1] to the graph. Each control layer
 * is built right before its hint is needed, so that no more than one hint is alive.
 */
export async function createControlBranch(graph: GraphBuilder, model: TransformerConfig, control: Control, trunk: Trunk): Promise<ControlBranch> {
  const { config, weights } = control;
  const { stream } = weights.numerics;
  const patchWidth = model.patchSize ** 2 * config.channels;
  const tokens = graph.input('control', 'float32', ['image_tokens', patchWidth]);
  const scale = cast(graph, graph.input('control_scale', 'float32', [1]), stream);
  const project = (name: string, x: Value): Promise<Value> => linear(graph, weights, name, x, model.width, { bias: true });
  const block = (name: string, x: Value): Promise<Value> => transformerBlock(graph, model, weights, name, x, trunk.tables, trunk.condition);
  const step = async (name: string, index: number, c: Value, x: Value): Promise<Value> => {
    return block(`${name}.${index}`, index === 0 ? add(graph, await project(`${name}.0.before_proj`, c), x) : c);
  };
  const hintOf = async (name: string, index: number, c: Value): Promise<Value> => multiply(graph, await project(`${name}.${index}.after_proj`, c), scale);

  let c = trunk.padded(await linear(graph, weights, `control_all_x_embedder.${model.patchSize}-1`, tokens, model.width, { bias: true, keepsFloats: true }));
  let image = trunk.refined;
  if (config.version === '1') {
    for (let i = 0; i < model.refinerLayers; i++) c = await block(`control_noise_refiner.${i}`, c);
  } else {
    const [name, count] = config.version === '2.1' ? ['control_noise_refiner', model.refinerLayers] : ['control_layers', config.layers];
    image = trunk.embedded;
    for (let i = 0; i < count; i++) {
      c = await step(name, i, c, trunk.embedded);
      if (i < model.refinerLayers) image = add(graph, await trunk.noiseRefiner(image, i), await hintOf(name, i, c));
    }
  }

  const x = concat(graph, [image, trunk.captionTokens], 0);
  let all = concat(graph, [c, trunk.captionTokens], 0); // [image_tokens+caption_tokens, width]
  const stride = Math.floor(model.layers / config.layers);
  return {
    hintAfter: async (layer, rows) => {
      const index = layer / stride;
      if (!Number.isInteger(index) || index >= config.layers) return null;
      all = await step('control_layers', index, all, x);
      const hint = await hintOf('control_layers', index, all);
      return rows ? firstRows(graph, hint, rows) : hint;
    },
  };
}
