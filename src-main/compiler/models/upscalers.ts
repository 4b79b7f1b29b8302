import { AppError } from '#shared/protocol/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/ir.ts';
import { add, concat, enlarge, multiply } from '../ops/basic.ts';
import { convolution } from '../ops/convolution.ts';
import type { Weights } from '../ops/weights.ts';
import type { TensorTable } from '../safetensors/open-checkpoint-tensors.ts';

/**
 * The two Real-ESRGAN networks, distinguished by their tensor names.
 * References: xinntao/BasicSR `basicsr/archs/rrdbnet_arch.py`, xinntao/Real-ESRGAN `realesrgan/archs/srvgg_arch.py`.
 */
export interface UpscalerNetwork {
  architecture: 'RRDBNet' | 'SRVGGNetCompact';
  scale: 4;
  overlapPx: number;
}

/** RRDBNet: slope of its LeakyReLUs, and factor of its residuals. */
export const SLOPE = 0.2;
export const RESIDUAL_SCALE = 0.2;

/** Which network the tensors of `path` are. Throws `checkpoint_unsupported`. */
export function describeUpscaler(table: TensorTable, path: string): UpscalerNetwork {
  if (table.tensors.has('body.0.weight')) return { architecture: 'SRVGGNetCompact', scale: 4, overlapPx: 12 };
  if (table.tensors.has('conv_first.weight')) return { architecture: 'RRDBNet', scale: 4, overlapPx: 16 };
  const reason = 'it has neither body.0.weight (SRVGGNetCompact) nor conv_first.weight (RRDBNet)';
  throw new AppError('checkpoint_unsupported', `${path} is no Real-ESRGAN network: ${reason}.`, { path });
}

/** Input: `image` [1, 3, height, width], 0 to 1. Output: `upscaled` [1, 3, 4 * height, 4 * width]. */
export async function buildUpscaler(graph: GraphBuilder, weights: Weights, architecture: UpscalerNetwork['architecture']): Promise<Graph> {
  const image = graph.input('image', 'float32', [1, 3, 'height', 'width']);
  graph.output(architecture === 'RRDBNet' ? rrdbNet(graph, weights, image) : await compactNet(graph, weights, image), 'upscaled');
  return graph.finish();
}

/** Convolutions and PReLUs in turn, then a pixel shuffle, added to the image with each pixel as 4 x 4. */
async function compactNet(graph: GraphBuilder, weights: Weights, image: Value): Promise<Value> {
  const width = weights.rows('body.0');
  let last = 0;
  while (weights.has(`body.${last + 2}.weight`)) last += 2;
  let x = image;
  let inputScale: Value | undefined;
  for (let i = 0; i < last; i += 2) {
    const slopes = (await weights.readFloats(`body.${i + 1}.weight`, [width])).map(notZero);
    x = prelu(graph, convolution(graph, weights, `body.${i}`, x, width, { inputScale }), slopes);
    inputScale = graph.floats(slopes, [1, width, 1, 1]);
  }
  const shuffled = pixelShuffle(graph, convolution(graph, weights, `body.${last}`, x, 3 * 16, { inputScale }), 4);
  return add(graph, shuffled, enlarge(graph, image, 4));
}

/** The slope that stands for one too small to divide by; what it lets through is lost in float32's rounding beside the positive side. */
const SMALLEST_SLOPE = 1e-6;

function notZero(slope: number): number {
  return Math.abs(slope) < SMALLEST_SLOPE ? SMALLEST_SLOPE : slope;
}

/**
 * PReLU(x) / slope, which is x + (1 - slope) / slope * max(x, 0), for x [1, C, h, w]: the next convolution's weights bring the slope back.
 * ONNX Runtime has no PRelu in its blocked layout; a Relu and a 1 x 1 convolution that also adds stay in it, a third of the time (`bench -- upscale`).
 */
function prelu(graph: GraphBuilder, x: Value, slopes: Float32Array): Value {
  const channels = slopes.length;
  const rise = graph.floats(
    slopes.map((slope) => (1 - slope) / slope),
    [channels, 1, 1, 1],
  );
  const attributes = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], group: channels };
  return add(graph, graph.add('Conv', [graph.add('Relu', [x]), rise], { attributes }), x);
}

/** Residual-in-residual dense blocks, then two doublings. */
function rrdbNet(graph: GraphBuilder, weights: Weights, image: Value): Value {
  const width = weights.rows('conv_first');
  const grow = weights.rows('body.0.rdb1.conv1');
  const lrelu = (x: Value): Value => graph.add('LeakyRelu', [x], { attributes: { alpha: { float: SLOPE } } });
  const scaled = (x: Value): Value => multiply(graph, x, graph.scalar(RESIDUAL_SCALE));

  const dense = (name: string, x: Value): Value => {
    const features = [x];
    for (let i = 1; i <= 4; i++)
      features.push(lrelu(convolution(graph, weights, `${name}.conv${i}`, features.length === 1 ? x : concat(graph, features, 1), grow)));
    return add(graph, scaled(convolution(graph, weights, `${name}.conv5`, concat(graph, features, 1), width)), x);
  };

  const first = convolution(graph, weights, 'conv_first', image, width);
  let x = first;
  for (let i = 0; weights.has(`body.${i}.rdb1.conv1.weight`); i++) {
    let y = x;
    for (const part of ['rdb1', 'rdb2', 'rdb3']) y = dense(`body.${i}.${part}`, y);
    x = add(graph, scaled(y), x);
  }
  x = add(graph, first, convolution(graph, weights, 'conv_body', x, width));
  x = lrelu(convolution(graph, weights, 'conv_up1', enlarge(graph, x, 2), width));
  x = lrelu(convolution(graph, weights, 'conv_up2', enlarge(graph, x, 2), width));
  return convolution(graph, weights, 'conv_last', lrelu(convolution(graph, weights, 'conv_hr', x, width)), 3);
}

/** PyTorch's PixelShuffle: channels [C, r, r] become r x r pixels. */
function pixelShuffle(graph: GraphBuilder, x: Value, factor: number): Value {
  return graph.add('DepthToSpace', [x], { attributes: { blocksize: factor, mode: 'CRD' } });
}
