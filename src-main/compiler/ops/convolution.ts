import type { GraphBuilder } from '../graph/builder.ts';
import { scaleDim, type Value } from '../graph/ir.ts';
import { add, concat, enlarge, multiply, reshape } from './basic.ts';
import type { Weights } from './weights.ts';

export interface ConvolutionOptions {
  /** Side of the square kernel. */
  kernel?: 1 | 3;
  /** [1, C, 1, 1] by which x still has to be multiplied; folded into the weight when the session loads. */
  inputScale?: Value | undefined;
  /** Takes every second pixel, beginning with the first, of an image with even sides: its right and lower edge alone are padded, as diffusers does. */
  halves?: boolean;
}

/** `NAME.weight` [outChannels, C, k, k] and `NAME.bias` over x [1, C, h, w]; the size stays unless it is halved. */
export function convolution(graph: GraphBuilder, weights: Weights, name: string, x: Value, outChannels: number, options: ConvolutionOptions = {}): Value {
  const { kernel = 3, halves = false } = options;
  const edge = (kernel - 1) / 2;
  const stored = weights.float(graph, `${name}.weight`, [outChannels, Number(x.shape[1]), kernel, kernel]);
  const weight = options.inputScale ? multiply(graph, stored, options.inputScale) : stored;
  const bias = weights.float(graph, `${name}.bias`, [outChannels]);
  const placed = halves ? { strides: [2, 2], pads: [0, 0, 1, 1] } : { strides: [1, 1], pads: [edge, edge, edge, edge] };
  return graph.add('Conv', [x, weight, bias], { attributes: { kernel_shape: [kernel, kernel], ...placed } });
}

/**
 * x [1, C, h, w] made twice as large, then a convolution of 3 x 3 with `NAME.weight` [outChannels, C, 3, 3] and `NAME.bias`: [1, outChannels, 2 h, 2 w].
 * For speed x is not resized: in a doubled row pixels come in pairs, so the three under a kernel are only two of x, and each of the four pixels
 * that one becomes is a convolution of 2 x 2 over x with sums of the weights: 4 products where there were 9.
 */
export function enlargedConvolution(graph: GraphBuilder, weights: Weights, name: string, x: Value, outChannels: number): Value {
  if (weights.numerics.accuracyLevel === 0) return convolution(graph, weights, name, enlarge(graph, x, 2), outChannels);
  const [, channels, height, width] = x.shape;
  const kernels = weights.float(graph, `${name}.weight`, [outChannels, Number(channels), 3, 3]);
  const bias = weights.float(graph, `${name}.bias`, [outChannels]);
  const pixel = (row: Half, column: Half): Value => {
    const weight = summed(graph, kernels, row, column);
    const attributes = { kernel_shape: [2, 2], strides: [1, 1], pads: [1 - row, 1 - column, row, column] };
    const made = graph.add('Conv', [x, weight, bias], { attributes }); // [1, outChannels, h, w]
    return graph.add('Reshape', [made, graph.ints([0, 0, 0, 0, 1])], { hints: { to: `1 ${outChannels} ${height} ${width} 1` } });
  };
  const row = (half: Half): Value => concat(graph, [pixel(half, 0), pixel(half, 1)], 4); // [1, outChannels, h, w, 2]
  const rows = concat(graph, [row(0), row(1)], 3); // [1, outChannels, h, w + w, 2], in memory the enlarged image
  const shape = multiply(graph, graph.add('Shape', [x]), graph.ints([1, 0, 2, 2])); // zero keeps outChannels
  const to = [1, outChannels, scaleDim(height ?? 0, 2), scaleDim(width ?? 0, 2)].join(' ');
  return graph.add('Reshape', [rows, shape], { hints: { to } });
}

/** Which of the two pixels that one becomes, by row or by column. */
type Half = 0 | 1;

/**
 * Kernels [outChannels, C, 3, 3] -> [outChannels, C, 2, 2]: those weights added that meet the same pixel before the enlargement, for the pixel `row`, `column`
 * of the four. ONNX Runtime computes it once, when the session loads.
 */
function summed(graph: GraphBuilder, kernels: Value, row: Half, column: Half): Value {
  const [outChannels = 0, inChannels = 0] = kernels.shape.map(Number);
  const sums = new Float32Array(9 * 4);
  for (let i = 0; i < 9; i++) sums[i * 4 + metBy(Math.floor(i / 3), row) * 2 + metBy(i % 3, column)] = 1;
  const flat = reshape(graph, kernels, [outChannels * inChannels, 9]);
  return reshape(graph, graph.add('Gemm', [flat, graph.floats(sums, [9, 4])]), [outChannels, inChannels, 2, 2]);
}

/** Which of the two pixels under a kernel's row the weight `at` 0, 1 or 2 meets. */
function metBy(at: number, half: Half): number {
  return half === 0 ? Math.min(at, 1) : Math.max(at - 1, 0);
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
