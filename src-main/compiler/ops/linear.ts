import { LORA_DOWN, LORA_UP } from '#main/lib/compiled.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { FloatType, Value } from '../graph/ir.ts';
import { LORA_RANK } from '../graph/memory.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import { dequantize, middleOf, readCodes, transposeBytes } from '../sdnq/dequantize.ts';
import { type HadamardRotation, hadamardMatrix } from '../sdnq/hadamard.ts';
import { linearRows, type QuantizedLinear, type RowRange, tensorRows } from '../sdnq/quantized-linear.ts';
import { add, cast, concat, multiply, reshape, slice, transpose } from './basic.ts';
import { appendIntegerRows, integerLinear, integerProduct, integerRowsOf, roundToInt8 } from './integer-linear.ts';
import type { Weights } from './weights.ts';

/** Block sizes that ONNX Runtime's CPU kernels of MatMulNBits have. */
const SMALLEST_BLOCK = 16;
const LARGEST_BLOCK = 256;
/** What MatMulNBits takes off a byte. */
const BYTE_MIDDLE = 128;

export interface LinearOptions {
  bias?: boolean;
  /** Leaves an unquantized weight as it is where the others are quantized: for small layers at the ends of a network. */
  keepsFloats?: boolean;
  /** Only these rows of a fused weight, which make `outWidth` values of the `of` that it makes in all. */
  rows?: RowRange;
}

/**
 * `x W^T (+ bias)` with the module `name`, however its weight is stored; x [S, K] -> [S, outWidth], in the type of x. Throws `checkpoint_damaged` for another
 * shape. Where graphs take LoRAs, what they add comes in as `lora_down.NAME` [rank, K] and `lora_up.NAME` [outWidth, rank].
 */
export async function linear(graph: GraphBuilder, weights: Weights, name: string, x: Value, outWidth: number, options: LinearOptions = {}): Promise<Value> {
  const whole = await plainLinear(graph, weights, name, x, outWidth, options);
  if (!weights.takesLoras) return whole;
  const type = floatTypeOf(x);
  const rank = `${LORA_RANK}${name}`;
  const down = cast(graph, graph.input(`${LORA_DOWN}${name}`, 'float32', [rank, Number(x.shape[1])]), type);
  const up = cast(graph, graph.input(`${LORA_UP}${name}`, 'float32', [outWidth, rank]), type);
  return gemm(graph, gemm(graph, x, down, null), up, whole);
}

async function plainLinear(graph: GraphBuilder, weights: Weights, name: string, x: Value, outWidth: number, options: LinearOptions): Promise<Value> {
  const inWidth = Number(x.shape[1]);
  const type = floatTypeOf(x);
  const bias = options.bias ? cast(graph, weights.float(graph, `${name}.bias`, [outWidth]), type) : null;
  const { rows = { from: 0, of: outWidth } } = options;
  const described = weights.quantizedLinear(name);
  if (described === null) {
    if (weights.quantizesFloats && !options.keepsFloats) {
      const whole = await quantizedFloats(graph, weights, name, x, outWidth, rows);
      return bias ? add(graph, whole, bias) : whole;
    }
    const tensor = tensorRows(weights.require(`${name}.weight`, [rows.of, inWidth]), rows, outWidth);
    return gemm(graph, x, cast(graph, weights.inPlace(graph, tensor, [outWidth, inWidth]), type), bias);
  }
  if (described.n !== rows.of || described.k !== inWidth) {
    const { file } = described.weight;
    const sentence = `${file}: the quantized linear ${described.name} maps ${described.k} to ${described.n}; its config asks for ${inWidth} to ${rows.of}.`;
    throw new AppError('checkpoint_damaged', sentence, { path: file });
  }
  const quantized = linearRows(described, rows, outWidth);
  // its rows are not one range of bytes: the whole, which is computed once for all that ask
  if (quantized === null) {
    const whole = await plainLinear(graph, weights, name, x, rows.of, {});
    return slice(graph, whole, 1, rows.from, rows.from + outWidth, outWidth);
  }
  const whole =
    (weights.numerics.accuracyLevel === 4 ? await integerLinear(graph, weights, x, quantized) : null) ??
    (await blockLinear(graph, weights, x, quantized, type));
  return bias ? add(graph, whole, bias) : whole;
}

/** An unquantized weight, quantized here to int8 with a scale a row. */
async function quantizedFloats(graph: GraphBuilder, weights: Weights, name: string, x: Value, n: number, range: RowRange): Promise<Value> {
  const k = Number(x.shape[1]);
  const block = largestBlock(k);
  const { accuracyLevel } = weights.numerics;
  const tensor = tensorRows(weights.require(`${name}.weight`, [range.of, k]), range, n);
  if (accuracyLevel !== 4 && block < SMALLEST_BLOCK) return gemm(graph, x, cast(graph, weights.inPlace(graph, tensor, [n, k]), floatTypeOf(x)), null);
  const fullName = tensor.name.replace(/\.weight(?=$|\.)/, '');
  const rows = integerRowsOf(() => readFloats(tensor), n);
  const reason = 'unquantized, and quantized to int8 with one scale a row';
  if (accuracyLevel === 4) return integerProduct(graph, x, await appendIntegerRows(graph, weights, fullName, n, k, rows, reason));
  const codes = async (): Promise<Uint8Array> => flipSigns(new Uint8Array((await rows()).bytes.buffer));
  const blob = await appendBlocks(graph, weights, { name: fullName, n, k }, block, reason, codes);
  const blockScales = cast(graph, await appendBlockScales(graph, weights, fullName, n, k / block, async () => (await rows()).scales), floatTypeOf(x));
  return matMulNBits(graph, x, { blob, scales: blockScales, block, bits: 8 }, { n, k }, accuracyLevel);
}

/**
 * `x W^T` with a scale a block, in the type of x or with the activations of a block as int8; unpacked to floats where blocks do not fit. Where W is rotated,
 * x is rotated in its place: the matrix is its own inverse. Equal nodes are one when the session has loaded, so what q, k and v share is rotated once.
 */
async function blockLinear(graph: GraphBuilder, weights: Weights, x: Value, quantized: QuantizedLinear, type: FloatType): Promise<Value> {
  const packed = await packedWeight(graph, weights, quantized, type);
  if (packed === null) {
    const reason = `groups of ${quantized.groupSize} do not fit blocks of a power of two from ${SMALLEST_BLOCK} to ${LARGEST_BLOCK}`;
    const { name, n, k } = quantized;
    const floats = async (): Promise<Uint8Array> => new Uint8Array((await dequantize(quantized)).buffer);
    const data = await weights.derived.append(4 * n * k, name, `${reason}: unpacked to float32`, floats);
    return gemm(graph, x, cast(graph, graph.weight(`${name}.float32`, 'float32', [n, k], data), type), null);
  }
  const rotated = quantized.rotation === null ? x : rotateRows(graph, x, quantized.rotation);
  // a transposed weight was stored for sdnq's products of integers, which round the activations of 32 rows and more
  const isRounded = quantized.transposed && weights.numerics.roundsActivations && x.shape[0] !== 1;
  const rounded = isRounded ? roundToInt8(graph, rotated) : rotated;
  const main = matMulNBits(graph, rounded, packed, quantized, weights.numerics.accuracyLevel);
  return lowRank(graph, weights, rotated, main, quantized);
}

/** x [S, K], its rows rotated group after group. */
function rotateRows(graph: GraphBuilder, x: Value, rotation: HadamardRotation): Value {
  const { group } = rotation;
  const [tokens = 0, k] = x.shape;
  const matrix = cast(graph, graph.floats(hadamardMatrix(rotation), [group, group]), floatTypeOf(x));
  const groups = reshape(graph, x, [typeof tokens === 'number' ? (tokens * Number(k)) / group : `${Number(k) / group}*${tokens}`, group]);
  return reshape(graph, graph.add('Gemm', [groups, matrix]), [tokens, Number(k)]);
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
  bits: 4 | 8;
}

/**
 * The weight as MatMulNBits takes it, or null where its groups do not fit. 4 bits and uint8 are used in place; int8 is copied with the sign bit flipped, or flipped in the
 * graph, and 5 to 7 bits are unpacked to bytes whose middle is 128.
 */
async function packedWeight(graph: GraphBuilder, weights: Weights, linear: QuantizedLinear, type: FloatType): Promise<PackedWeight | null> {
  const { n, k, bits, signed, groups, groupSize, transposed, name } = linear;
  const block = largestBlock(groupSize);
  if (block < SMALLEST_BLOCK) return null;
  const scales =
    block === groupSize
      ? weights.inPlace(graph, linear.scale, [n * groups])
      : await appendBlockScales(graph, weights, name, n * groups, groupSize / block, () => readFloats(linear.scale));
  if (bits === 4 || (bits === 8 && !signed && !transposed)) {
    const blob = weights.inPlace(graph, linear.weight, [n, k / block, (block * bits) / 8]);
    return { blob, scales: cast(graph, scales, type), block, bits };
  }
  if (bits === 8 && weights.numerics.foldsBytes) {
    return { blob: foldedBytes(graph, weights, linear, block), scales: cast(graph, scales, type), block, bits };
  }
  const bytes = async (): Promise<Uint8Array> => {
    const codes = await readCodes(linear);
    const shift = BYTE_MIDDLE - middleOf(linear);
    if (shift > 0) for (let i = 0; i < codes.length; i++) codes[i] = (codes[i] as number) + shift;
    return transposed ? transposeBytes(codes, k, n) : codes;
  };
  const reason =
    bits === 8 ? 'int8 is signed or transposed, and MatMulNBits takes rows of unsigned bytes: copied' : `${bits} bits are unpacked to a byte a value`;
  return { blob: await appendBlocks(graph, weights, linear, block, reason, bytes), scales: cast(graph, scales, type), block, bits: 8 };
}

/** The stored bytes as rows [N, K / block, block] around 128; ONNX Runtime computes them once, when the session loads. */
function foldedBytes(graph: GraphBuilder, weights: Weights, { n, k, signed, transposed, weight }: QuantizedLinear, block: number): Value {
  const shape = [n, k / block, block];
  const stored = weights.bytesInPlace(graph, weight, transposed ? [k, n] : shape);
  const rows = transposed ? reshape(graph, transpose(graph, stored, [1, 0]), shape) : stored;
  return signed ? graph.add('BitwiseXor', [rows, graph.constant('uint8', [1], Uint8Array.of(BYTE_MIDDLE))]) : rows;
}

/** Bytes [N, K] around 128, in blocks. */
async function appendBlocks(
  graph: GraphBuilder,
  weights: Weights,
  { name, n, k }: Pick<QuantizedLinear, 'name' | 'n' | 'k'>,
  block: number,
  reason: string,
  bytes: () => Promise<Uint8Array>,
): Promise<Value> {
  return graph.weight(`${name}.unsigned`, 'uint8', [n, k / block, block], await weights.derived.append(n * k, name, reason, bytes));
}

/** A scale for each block, where a group has several. */
async function appendBlockScales(
  graph: GraphBuilder,
  weights: Weights,
  name: string,
  groups: number,
  blocksPerGroup: number,
  scales: () => Promise<Float32Array>,
): Promise<Value> {
  const count = groups * blocksPerGroup;
  const spread = async (): Promise<Uint8Array> => new Uint8Array(repeatEach(await scales(), blocksPerGroup).buffer);
  const data = await weights.derived.append(4 * count, `${name}.scale`, 'one scale for each block', spread);
  return graph.weight(`${name}.block_scale`, 'float32', [count], data);
}

/** x [S, K] by a weight in blocks. */
export function matMulNBits(graph: GraphBuilder, x: Value, packed: PackedWeight, { n, k }: Pick<QuantizedLinear, 'n' | 'k'>, accuracyLevel: number): Value {
  const attributes = { K: k, N: n, bits: packed.bits, block_size: packed.block, accuracy_level: accuracyLevel };
  return graph.add('MatMulNBits', [x, packed.blob, packed.scales], { domain: 'com.microsoft', attributes });
}

/**
 * What the packed product leaves out, in one skinny product. MatMulNBits without zero points computes (q - middle) * scale, so each group of an unsigned type
 * lacks zero_point + middle * scale, a constant that meets the sum of x over the group; the SVD correction has the same form, with svd_down in place of the
 * sums: `[x svd_down^T | groupsums(x)] [svd_up | zero_point + middle * scale]^T`.
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
    const middle = multiply(graph, floats(linear.scale, [n * groups]), graph.scalar(middleOf(linear)));
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

/** Signed bytes as unsigned ones around 128, in place. */
function flipSigns(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] as number) ^ 0x80;
  return bytes;
}

function repeatEach(values: Float32Array, times: number): Float32Array {
  const out = new Float32Array(values.length * times);
  for (const [i, value] of values.entries()) out.fill(value, i * times, (i + 1) * times);
  return out;
}
