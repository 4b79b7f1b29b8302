import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { readTensor } from '../safetensors/read-tensor.ts';
import { dequantize, transposeBytes } from '../sdnq/dequantize.ts';
import type { QuantizedLinear } from '../sdnq/quantized-linear.ts';
import { cast, multiply, reshape } from './basic.ts';
import type { Weights } from './weights.ts';

/** Largest magnitude that a row is scaled to, of activations and of weights. */
const LARGEST = 127;
/** Zero among unsigned bytes. */
const MIDDLE = 128;
/** A row of zeros is divided by this instead of zero. */
const SMALLEST_SCALE = 1e-30;

/**
 * `x W^T` as one product of bytes: each row of x and each row of W has one scale, W's bytes are signed, x's bytes are unsigned around 128. Twice as fast as
 * MatMulNBits with its scale a block (`bench -- block`), for an error about twice as large. Null where W is not stored as such rows and must not be copied.
 */
export async function integerLinear(graph: GraphBuilder, weights: Weights, x: Value, linear: QuantizedLinear): Promise<Value | null> {
  const rows = await integerRows(graph, weights, linear);
  return rows === null ? null : integerProduct(graph, x, rows);
}

export function integerProduct(graph: GraphBuilder, x: Value, rows: IntegerRows): Value {
  const { bytes, scale } = quantizeRows(graph, x);
  const n = Number(rows.scales.shape[0]);
  const inputs = [
    bytes,
    graph.scalar(1),
    graph.constant('uint8', [], Uint8Array.of(MIDDLE)),
    rows.bytes,
    rows.scales,
    graph.constant('int8', [n], new Uint8Array(n)),
  ];
  return multiply(graph, graph.add('QGemm', inputs, { domain: 'com.microsoft', attributes: { transB: 1 } }), scale);
}

/** x [S, K] as unsigned bytes around 128, and a scale [S, 1] a row. Equal nodes are one when the session has loaded, so what q, k and v share is made once. */
function quantizeRows(graph: GraphBuilder, x: Value): { bytes: Value; scale: Value } {
  const tokens = x.shape[0] ?? 0;
  const scale = rowScales(graph, x);
  const perRow = reshape(graph, scale, [tokens]);
  const middle = graph.add('Expand', [graph.constant('uint8', [1], Uint8Array.of(MIDDLE)), graph.add('Shape', [perRow])], { hints: { size: tokens } });
  return { bytes: graph.add('QuantizeLinear', [x, perRow, middle], { attributes: { axis: 0 } }), scale };
}

/** The scale [S, 1] that brings each row of x [S, K] to int8. */
function rowScales(graph: GraphBuilder, x: Value): Value {
  const largest = graph.add('ReduceMax', [graph.add('Abs', [x]), graph.ints([1])], { hints: { axis: 1 } });
  return graph.add('Max', [multiply(graph, largest, graph.scalar(1 / LARGEST)), graph.scalar(SMALLEST_SCALE)]);
}

/** x [S, K] with each value rounded to what int8 with a scale a row can hold; still floats. */
export function roundToInt8(graph: GraphBuilder, x: Value): Value {
  const scale = rowScales(graph, x);
  return multiply(graph, graph.add('Round', [graph.add('Div', [x, scale])]), scale);
}

export interface IntegerRows {
  /** [N, K], int8 */
  bytes: Value;
  /** [N], float32 */
  scales: Value;
}

/** In place where the checkpoint has one scale a row and nothing to add, else a copy if copies are wanted. */
async function integerRows(graph: GraphBuilder, weights: Weights, linear: QuantizedLinear): Promise<IntegerRows | null> {
  const { n, k, bits, signed, groups, svd, transposed, rotation, name } = linear;
  if (bits === 8 && signed && groups === 1 && svd === null && rotation === null) {
    const scales = cast(graph, weights.inPlace(graph, linear.scale, [n]), 'float32');
    if (!transposed) return { bytes: weights.inPlace(graph, linear.weight, [n, k], { mapped: 'may be' }), scales };
    const rows = async (): Promise<Uint8Array> => transposeBytes(await readTensor(linear.weight), k, n);
    const data = await weights.derived.append(n * k, name, 'transposed, and copied row by row', rows);
    return { bytes: graph.weight(`${name}.int8`, 'int8', [n, k], data), scales };
  }
  if (!weights.copiesInt8) return null;
  const reason = 'copied as int8 with one scale a row, which is faster and small enough here';
  const rows = integerRowsOf(() => dequantize(linear), n);
  return appendIntegerRows(graph, weights, name, n, k, rows, reason);
}

interface RowValues {
  bytes: Int8Array;
  scales: Float32Array;
}

/** `values` [N, K] as int8 rows, computed once and when first needed. */
export function integerRowsOf(values: () => Promise<Float32Array>, n: number): () => Promise<RowValues> {
  let rows: Promise<RowValues> | null = null;
  return () => {
    rows ??= values().then((floats) => toIntegerRows(floats, n));
    return rows;
  };
}

/** `rows` [N, K], written as int8 with a scale a row. */
export async function appendIntegerRows(
  graph: GraphBuilder,
  weights: Weights,
  name: string,
  n: number,
  k: number,
  rows: () => Promise<RowValues>,
  reason: string,
): Promise<IntegerRows> {
  const bytes = await weights.derived.append(n * k, name, reason, async () => new Uint8Array((await rows()).bytes.buffer));
  const scales = await weights.derived.append(4 * n, `${name}.scale`, reason, async () => new Uint8Array((await rows()).scales.buffer));
  return { bytes: graph.weight(`${name}.int8`, 'int8', [n, k], bytes), scales: graph.weight(`${name}.row_scale`, 'float32', [n], scales) };
}

/** `values` [N, K] as int8 with a scale a row, symmetric. */
function toIntegerRows(values: Float32Array, n: number): RowValues {
  const k = values.length / n;
  const bytes = new Int8Array(values.length);
  const scales = new Float32Array(n);
  for (let row = 0; row < n; row++) {
    const start = row * k;
    let largest = 0;
    for (let i = start; i < start + k; i++) largest = Math.max(largest, Math.abs(values[i] as number));
    const scale = Math.max(largest / LARGEST, SMALLEST_SCALE);
    scales[row] = scale;
    for (let i = start; i < start + k; i++) bytes[i] = Math.round((values[i] as number) / scale);
  }
  return { bytes, scales };
}
