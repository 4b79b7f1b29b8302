import { AppError } from '#shared/protocol/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { FloatType, Value } from '../graph/ir.ts';
import { readFloats, readTensor } from '../safetensors/read-tensor.ts';
import { dequantize } from '../sdnq/dequantize.ts';
import { describeQuantizedLinear, type QuantizedLinear } from '../sdnq/quantized-linear.ts';
import { add, cast, concat, multiply, reshape, transpose } from './basic.ts';
import { integerLinear } from './integer-linear.ts';
import type { Weights } from './weights.ts';

/** Block sizes that ONNX Runtime's CPU kernels of MatMulNBits have. */
const SMALLEST_BLOCK = 16;
const LARGEST_BLOCK = 256;

/**
 * `x W^T (+ bias)` with the module `name`, whatever way its weight is stored; x [S, K] -> [S, outWidth], in the type of x. Throws `checkpoint_damaged` for
 * another shape.
 */
export async function linear(
  graph: GraphBuilder,
  weights: Weights,
  name: string,
  x: Value,
  outWidth: number,
  options: { bias?: boolean } = {},
): Promise<Value> {
  const inWidth = Number(x.shape[1]);
  const type = floatTypeOf(x);
  const bias = options.bias ? cast(graph, weights.float(graph, `${name}.bias`, [outWidth]), type) : null;
  const quantized = describeQuantizedLinear(weights.table, weights.prefix + name, weights.quantization);
  if (quantized === null) return gemm(graph, x, cast(graph, weights.stored(graph, `${name}.weight`, [outWidth, inWidth]), type), bias);
  if (quantized.n !== outWidth || quantized.k !== inWidth) {
    throw new AppError(
      'checkpoint_damaged',
      `${weights.table.dir}: the quantized linear ${quantized.name} maps ${quantized.k} to ${quantized.n}; its config asks for ${inWidth} to ${outWidth}.`,
      { path: weights.table.dir },
    );
  }
  const whole =
    (weights.numerics.accuracyLevel === 4 ? await integerLinear(graph, weights, x, quantized) : null) ??
    (await blockLinear(graph, weights, x, quantized, type));
  return bias ? add(graph, whole, bias) : whole;
}

/** `x W^T` with a scale a block, in the type of x or with the activations of a block as int8; unpacked to floats where blocks do not fit. */
async function blockLinear(graph: GraphBuilder, weights: Weights, x: Value, quantized: QuantizedLinear, type: FloatType): Promise<Value> {
  const packed = await packedWeight(graph, weights, quantized, type);
  if (packed === null) {
    const reason = `groups of ${quantized.groupSize} do not fit blocks of a power of two from ${SMALLEST_BLOCK} to ${LARGEST_BLOCK}`;
    const floats = await dequantize(quantized);
    const data = await weights.derived.append(new Uint8Array(floats.buffer), quantized.name, `${reason}: unpacked to float32`);
    return gemm(graph, x, cast(graph, graph.weight(`${quantized.name}.float32`, 'float32', [quantized.n, quantized.k], data), type), null);
  }
  const main = matMulNBits(graph, x, packed, quantized, weights.numerics.accuracyLevel);
  return lowRank(graph, weights, x, main, quantized);
}

function floatTypeOf(x: Value): FloatType {
  if (x.type === 'float32' || x.type === 'float16' || x.type === 'bfloat16') return x.type;
  throw new Error(`${x.name} is ${x.type}; a linear layer takes floats.`);
}

function gemm(graph: GraphBuilder, x: Value, weight: Value, addend: Value | null): Value {
  return graph.add('Gemm', addend ? [x, weight, addend] : [x, weight], { attributes: { transB: 1 } });
}

interface PackedWeight {
  /** [N, K / block, block * bits / 8] */
  blob: Value;
  /** [N * K / block], of the type that is computed in */
  scales: Value;
  block: number;
}

/** The weight as MatMulNBits takes it, or null where its groups do not fit. uint4 is used in place; int8 is copied with the sign bit flipped. */
async function packedWeight(graph: GraphBuilder, weights: Weights, linear: QuantizedLinear, type: FloatType): Promise<PackedWeight | null> {
  const { n, k, bits, groups, groupSize, name } = linear;
  const block = largestBlock(groupSize);
  if (block < SMALLEST_BLOCK) return null;
  const shape = [n, k / block, (block * bits) / 8];
  if (bits === 4) {
    if (block !== groupSize) return null;
    return { blob: weights.inPlace(graph, linear.weight, shape), scales: cast(graph, weights.inPlace(graph, linear.scale, [n * groups]), type), block };
  }
  const bytes = await readTensor(linear.weight);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] ?? 0) ^ 0x80;
  const rows = linear.transposed ? transposeBytes(bytes, k, n) : bytes;
  const blob = await weights.derived.append(rows, name, 'int8 is signed and MatMulNBits takes unsigned bytes: copied with the sign bit flipped');
  const scales = repeatEach(await readFloats(linear.scale), groupSize / block);
  const spread = await weights.derived.append(new Uint8Array(scales.buffer), `${name}.scale`, `one scale for each block of ${block}`);
  return {
    blob: graph.weight(`${name}.unsigned`, 'uint8', shape, blob),
    scales: cast(graph, graph.weight(`${name}.block_scale`, 'float32', [scales.length], spread), type),
    block,
  };
}

function matMulNBits(graph: GraphBuilder, x: Value, packed: PackedWeight, { n, k, bits }: QuantizedLinear, accuracyLevel: number): Value {
  const attributes = { K: k, N: n, bits, block_size: packed.block, accuracy_level: accuracyLevel };
  return graph.add('MatMulNBits', [x, packed.blob, packed.scales], { domain: 'com.microsoft', attributes });
}

/**
 * What the packed product leaves out, in one skinny product. MatMulNBits without zero points computes (q - 8) * scale, so each group lacks
 * zero_point + 8 * scale, a constant that meets the sum of x over the group; the SVD correction has the same form, with svd_down in place of the sums:
 * `[x svd_down^T | groupsums(x)] [svd_up | zero_point + 8 scale]^T`.
 * On a GPU the sums are a product with ones and zeros, in one with svd_down: a launch less. On the CPU they are added up, which costs no weights.
 */
function lowRank(graph: GraphBuilder, weights: Weights, x: Value, main: Value, linear: QuantizedLinear): Value {
  const { n, k, groups } = linear;
  // added up in float32 when the session loads, then of the type of x
  const isCpu = weights.numerics.accuracyLevel === 4;
  const floats = (tensor: QuantizedLinear['scale'], view: number[]): Value => cast(graph, weights.inPlace(graph, tensor, view), 'float32');
  const factor = (parts: Value[], axis: number): Value => cast(graph, parts.length === 1 ? (parts[0] as Value) : concat(graph, parts, axis), floatTypeOf(x));
  const down: Value[] = [];
  const up: Value[] = [];
  if (linear.svd) {
    const { rank, transposed } = linear.svd;
    const spare = (tensor: QuantizedLinear['scale'], view: number[]): Value =>
      cast(graph, weights.inPlace(graph, tensor, view, isCpu ? { mapped: 'may be' } : {}), 'float32');
    down.push(transposed ? transpose(graph, spare(linear.svd.down, [k, rank]), [1, 0]) : spare(linear.svd.down, [rank, k]));
    up.push(transposed ? transpose(graph, spare(linear.svd.up, [rank, n]), [1, 0]) : spare(linear.svd.up, [n, rank]));
  }
  if (linear.zeroPoint) {
    const middle = multiply(graph, floats(linear.scale, [n * groups]), graph.scalar(8));
    if (!isCpu) down.push(groupSelector(graph, groups, k));
    up.push(add(graph, floats(linear.zeroPoint, [n, groups]), reshape(graph, middle, [n, groups])));
  }
  if (up.length === 0) return main;
  const inner = down.length === 0 ? [] : [gemm(graph, x, factor(down, 0), null)];
  if (isCpu && linear.zeroPoint) inner.push(groupSums(graph, x, groups, k));
  // [S, rank + groups]
  return gemm(graph, inner.length === 1 ? (inner[0] as Value) : concat(graph, inner, 1), factor(up, 1), main);
}

/** x [S, K] -> [S, groups]. Equal nodes are one when the session has loaded, so what q, k and v share is added up once. */
function groupSums(graph: GraphBuilder, x: Value, groups: number, k: number): Value {
  const tokens = x.shape[0] ?? 0;
  const perGroup = reshape(graph, x, [tokens, groups, k / groups]);
  return reshape(graph, graph.add('ReduceSum', [perGroup, graph.ints([2])], { hints: { axis: 2 } }), [tokens, groups]);
}

/** [groups, K], one where a column belongs to a group. */
function groupSelector(graph: GraphBuilder, groups: number, k: number): Value {
  const indicator = new Float32Array(groups * k);
  for (let i = 0; i < k; i++) indicator[Math.floor((i * groups) / k) * k + i] = 1;
  return graph.floats(indicator, [groups, k]);
}

/** The largest power of two that divides `size` and that a kernel has. */
function largestBlock(size: number): number {
  let power = 1;
  while (size % (power * 2) === 0 && power * 2 <= LARGEST_BLOCK) power *= 2;
  return power;
}

/** [rows, columns] -> [columns, rows]. */
function transposeBytes(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) out[column * rows + row] = bytes[row * columns + column] ?? 0;
  return out;
}

function repeatEach(values: Float32Array, times: number): Float32Array {
  const out = new Float32Array(values.length * times);
  for (const [i, value] of values.entries()) out.fill(value, i * times, (i + 1) * times);
  return out;
}
