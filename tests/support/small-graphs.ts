import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import { TYPE_NUMBER } from '#main/compiler/graph/ir.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import type { GraphFiles } from '#main/lib/compiled.ts';

/** Graphs of a few nodes whose results are known without running them. */

const WEIGHTS_FILE = 'weights.bin';

async function saved(graph: GraphBuilder, dir: string, name: string): Promise<GraphFiles> {
  const onnxPath = join(dir, `${name}.onnx`);
  await writeFile(onnxPath, writeOnnx(graph.finish(), dir, '1'));
  return { onnxPath, weightsDir: dir };
}

/** `rows` [n, width] times a matrix of ones times `factor`, stored in a separate file: every output is the row's sum times `factor`. */
export async function rowSums(dir: string, width: number, factor: number): Promise<GraphFiles> {
  const path = join(dir, WEIGHTS_FILE);
  const weights = new Float32Array(width * width).fill(factor);
  await writeFile(path, weights);
  const graph = new GraphBuilder('row sums');
  const rows = graph.input('rows', 'float32', ['n', width]);
  const matrix = graph.weight('matrix', 'float32', [width, width], { kind: 'file', path, offset: 0, byteLength: weights.byteLength });
  graph.output(graph.add('Gemm', [rows, matrix]), 'sums');
  return saved(graph, dir, 'row-sums');
}

/** Float32, int64 and bool in, two outputs: `picked`, the rows of `table` [n, 2] that `ids` name, and `chosen`, from `table` where `mask` [n, 1] is true, else 0. */
export async function manyTypes(dir: string): Promise<GraphFiles> {
  const graph = new GraphBuilder('many types');
  const table = graph.input('table', 'float32', ['n', 2]);
  const ids = graph.input('ids', 'int64', ['m']);
  const mask = graph.input('mask', 'bool', ['n', 1]);
  graph.output(graph.add('Gather', [table, ids], { attributes: { axis: 0 } }), 'picked');
  graph.output(graph.add('Where', [mask, table, graph.floats([0])]), 'chosen');
  return saved(graph, dir, 'many-types');
}

/** `values` [n] rounded to a type of 16 bits, as the output `rounded`. */
export async function roundedTo(dir: string, type: 'float16' | 'bfloat16'): Promise<GraphFiles> {
  const graph = new GraphBuilder(`rounded to ${type}`);
  const values = graph.input('values', 'float32', ['n']);
  graph.output(graph.add('Cast', [values], { attributes: { to: TYPE_NUMBER[type] }, hints: { to: type } }), 'rounded');
  return saved(graph, dir, `rounded-${type}`);
}

/** A `column` [n, 1] times a `row` [1, m]: small inputs, a large output. */
export async function outerProduct(dir: string): Promise<GraphFiles> {
  const graph = new GraphBuilder('outer product');
  const column = graph.input('column', 'float32', ['n', 1]);
  const row = graph.input('row', 'float32', [1, 'm']);
  graph.output(graph.add('Mul', [column, row]), 'product');
  return saved(graph, dir, 'outer-product');
}

/** A `column` [n, 1] times a `row` [1, m], added up again: `sums` [n, 1]. Small inputs, a small output, and a large value in between. */
export async function outerSums(dir: string): Promise<GraphFiles> {
  const graph = new GraphBuilder('outer sums');
  const column = graph.input('column', 'float32', ['n', 1]);
  const row = graph.input('row', 'float32', [1, 'm']);
  const product = graph.add('Mul', [column, row]);
  graph.output(graph.add('ReduceSum', [product, graph.ints([1])], { hints: { axis: 1 } }), 'sums');
  return saved(graph, dir, 'outer-sums');
}

/** `length` products of a square matrix, one after the other, each with an identity matrix: the output is the input, after some time. */
export async function longChain(dir: string, size: number, length: number): Promise<GraphFiles> {
  const graph = new GraphBuilder('long chain');
  const identity = graph.floats(
    Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0)),
    [size, size],
  );
  let value = graph.input('matrix', 'float32', ['n', size]);
  for (let i = 0; i < length; i++) value = graph.add('Gemm', [value, identity]);
  graph.output(value, 'same');
  return saved(graph, dir, 'long-chain');
}
