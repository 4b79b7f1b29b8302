import type { LoraTarget } from '#main/lib/compiled.ts';
import { ADALN_WIDTH, FREQUENCIES, TIMESTEP_INNER_WIDTH } from './transformer.ts';
import { feedForwardWidth } from './transformer-block.ts';
import type { TransformerConfig } from './transformer-config.ts';

/** Every linear layer of the transformer, by diffusers' names, in the order of their use. */
export function loraTargets(config: TransformerConfig): LoraTarget[] {
  const { width, captionWidth } = config;
  const condition = Math.min(width, ADALN_WIDTH);
  const patchWidth = config.patchSize ** 2 * config.latentChannels;
  const patch = `${config.patchSize}-1`;
  const targets: LoraTarget[] = [];
  const target = (part: LoraTarget['part'], name: string, inWidth: number, outWidth: number): void => {
    targets.push({ part, name, inWidth, outWidth });
  };
  const block = (part: LoraTarget['part'], name: string, isModulated: boolean): void => {
    for (const projection of ['to_q', 'to_k', 'to_v', 'to_out.0']) target(part, `${name}.attention.${projection}`, width, width);
    const inner = feedForwardWidth(config);
    target(part, `${name}.feed_forward.w1`, width, inner);
    target(part, `${name}.feed_forward.w2`, inner, width);
    target(part, `${name}.feed_forward.w3`, width, inner);
    if (isModulated) target(part, `${name}.adaLN_modulation.0`, condition, 4 * width);
  };
  target('captionRefiner', 'cap_embedder.1', captionWidth, width);
  for (let i = 0; i < config.refinerLayers; i++) block('captionRefiner', `context_refiner.${i}`, false);
  target('denoiser', 't_embedder.mlp.0', FREQUENCIES, TIMESTEP_INNER_WIDTH);
  target('denoiser', 't_embedder.mlp.2', TIMESTEP_INNER_WIDTH, condition);
  target('denoiser', `all_x_embedder.${patch}`, patchWidth, width);
  for (let i = 0; i < config.refinerLayers; i++) block('denoiser', `noise_refiner.${i}`, true);
  for (let i = 0; i < config.layers; i++) block('denoiser', `layers.${i}`, true);
  target('denoiser', `all_final_layer.${patch}.adaLN_modulation.1`, condition, width);
  target('denoiser', `all_final_layer.${patch}.linear`, width, patchWidth);
  return targets;
}
