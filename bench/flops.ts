import { join } from 'node:path';
import { loadTransformerConfig, type TransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { loadVaeConfig, type VaeConfig } from '#main/compiler/models/vae.ts';

/**
 * Floating point operations (a multiplication and an addition are two) of a square image: `forwards` of the transformer and one decode. Only products and
 * convolutions count; parts that depend only on the prompt are omitted. Within 3 % of PyTorch's FlopCounterMode for diffusers.
 */
export async function imageFlops(checkpointDir: string, sidePx: number, captionTokens: number, forwards: number): Promise<number> {
  const transformer = await loadTransformerConfig(join(checkpointDir, 'transformer'));
  const vae = await loadVaeConfig(join(checkpointDir, 'vae'));
  const imageTokens = (sidePx / (vae.scale * transformer.patchSize)) ** 2;
  return forwards * transformerFlops(transformer, imageTokens, captionTokens) + decoderFlops(vae, sidePx / vae.scale);
}

/** Operations of one forward of the transformer. */
export async function stepFlops(checkpointDir: string, sidePx: number, captionTokens: number): Promise<number> {
  const transformer = await loadTransformerConfig(join(checkpointDir, 'transformer'));
  const vae = await loadVaeConfig(join(checkpointDir, 'vae'));
  return transformerFlops(transformer, (sidePx / (vae.scale * transformer.patchSize)) ** 2, captionTokens);
}

function transformerFlops({ width, layers, refinerLayers }: TransformerConfig, imageTokens: number, captionTokens: number): number {
  const inner = Math.floor((width / 3) * 8);
  const layer = (tokens: number) => 2 * tokens * (4 * width * width + 3 * width * inner) + 4 * tokens * tokens * width;
  return refinerLayers * layer(imageTokens) + layers * layer(imageTokens + captionTokens);
}

function decoderFlops({ channels, latentChannels, layersPerBlock, midAttention, imageChannels }: VaeConfig, latentSide: number): number {
  const convolution = (from: number, to: number, pixels: number, kernel = 3) => 2 * from * to * kernel ** 2 * pixels;
  const resnet = (from: number, to: number, pixels: number) =>
    convolution(from, to, pixels) + convolution(to, to, pixels) + (from === to ? 0 : convolution(from, to, pixels, 1));
  const widths = channels.toReversed();
  let pixels = latentSide ** 2;
  let width = widths[0] ?? 0;
  let flops = convolution(latentChannels, width, pixels) + 2 * resnet(width, width, pixels);
  if (midAttention) flops += 4 * convolution(width, width, pixels, 1) + 4 * pixels ** 2 * width;
  for (const [i, next] of widths.entries()) {
    flops += resnet(width, next, pixels) + layersPerBlock * resnet(next, next, pixels);
    width = next;
    if (i === widths.length - 1) break;
    pixels *= 4;
    flops += convolution(width, width, pixels);
  }
  return flops + convolution(width, imageChannels, pixels);
}
