import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { add, multiply, reshape } from './basic.ts';
import type { Weights } from './weights.ts';

export interface ConvolutionOptions {
  /** Side of the square kernel. */
  kernel?: 1 | 3;
  stride?: 1 | 2;
  /** Top, left, bottom, right; so that the size stays where it is not given. */
  pads?: readonly [number, number, number, number];
  /** [1, C, 1, 1] by which x still has to be multiplied; folded into the weight when the session loads. */
  inputScale?: Value | undefined;
}

/** `NAME.weight` [outChannels, C, k, k] and `NAME.bias` over x [1, C, h, w]. */
export function convolution(graph: GraphBuilder, weights: Weights, name: string, x: Value, outChannels: number, options: ConvolutionOptions = {}): Value {
  const { kernel = 3, stride = 1 } = options;
  const edge = (kernel - 1) / 2;
  const stored = weights.float(graph, `${name}.weight`, [outChannels, Number(x.shape[1]), kernel, kernel]);
  const weight = options.inputScale ? multiply(graph, stored, options.inputScale) : stored;
  const bias = weights.float(graph, `${name}.bias`, [outChannels]);
  const attributes = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: options.pads ?? [edge, edge, edge, edge] };
  return graph.add('Conv', [x, weight, bias], { attributes });
}

/**
 * Group norm of x [1, C, h, w] with `NAME.weight`, `NAME.bias` [C]. ONNX Runtime has no kernel for GroupNormalization on the CPU and takes it apart itself;
 * this is the same as one InstanceNormalization of the groups.
 */
export function groupNorm(graph: GraphBuilder, weights: Weights, name: string, x: Value, groups: number, epsilon: number): Value {
  const channels = Number(x.shape[1]);
  const [, , height, width] = x.shape;
  const ones = graph.floats(new Float32Array(groups).fill(1));
  const zeros = graph.floats(new Float32Array(groups));
  const perGroup = reshape(graph, x, [1, groups, `${channels / groups}*${height}*${width}`]);
  const normed = graph.add('InstanceNormalization', [perGroup, ones, zeros], { attributes: { epsilon: { float: epsilon } } });
  const back = graph.add('Reshape', [normed, graph.add('Shape', [x])], { hints: { to: x.shape.join(' ') } });
  const scale = reshape(graph, weights.float(graph, `${name}.weight`, [channels]), [channels, 1, 1]);
  const shift = reshape(graph, weights.float(graph, `${name}.bias`, [channels]), [channels, 1, 1]);
  return add(graph, multiply(graph, back, scale), shift);
}
