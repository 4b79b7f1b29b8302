import { relative } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import { type Attribute, type Dim, type Graph, type GraphNode, type Initializer, TYPE_NUMBER, type Value } from '../graph/ir.ts';
import { ProtoWriter } from './proto-writer.ts';

/** Field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR version 10, opset 21. */
const IR_VERSION = 10;
const OPSET = 21;
const EXTERNAL = 1;

/**
 * The ONNX file of a graph. Weights that stay in files are referred to by their path relative to `weightsDir`, which ONNX Runtime needs as an option;
 * it refuses files outside of that folder, and so does this (`graph_invalid`).
 */
export function writeOnnx(graph: Graph, weightsDir: string, producerVersion: string): Uint8Array {
  const model = new ProtoWriter();
  model.int(1, IR_VERSION);
  model.string(2, 'z-image-turbo-studio');
  model.string(3, producerVersion);
  model.message(7, (out) => writeGraph(out, graph, weightsDir));
  model.message(8, (out) => {
    out.string(1, '');
    out.int(2, OPSET);
  });
  model.message(8, (out) => {
    out.string(1, 'com.microsoft');
    out.int(2, 1);
  });
  return model.finish();
}

function writeGraph(out: ProtoWriter, graph: Graph, weightsDir: string): void {
  for (const node of graph.nodes) out.message(1, (inner) => writeNode(inner, node));
  out.string(2, graph.name);
  for (const weight of graph.initializers) out.message(5, (inner) => writeInitializer(inner, weight, graph.name, weightsDir));
  // an initializer that is an input too is a default that a caller may replace: ONNX Runtime neither folds nor packs it, and asks for no value
  const inputs = [...graph.inputs, ...graph.initializers.filter(({ mapped }) => mapped === 'is')];
  for (const value of inputs) out.message(11, (inner) => writeValueInfo(inner, value));
  for (const value of graph.outputs) out.message(12, (inner) => writeValueInfo(inner, value));
}

function writeNode(out: ProtoWriter, node: GraphNode): void {
  for (const name of node.inputs) out.string(1, name);
  for (const name of node.outputs) out.string(2, name);
  out.string(3, node.name);
  out.string(4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) out.message(5, (inner) => writeAttribute(inner, name, value));
  if (node.domain !== '') out.string(7, node.domain);
}

function writeAttribute(out: ProtoWriter, name: string, value: Attribute): void {
  out.string(1, name);
  if (typeof value === 'number') {
    out.int(3, value);
    out.int(20, 2);
  } else if (typeof value === 'string') {
    out.string(4, value);
    out.int(20, 3);
  } else if ('float' in value) {
    out.float(2, value.float);
    out.int(20, 1);
  } else if ('floats' in value) {
    for (const item of value.floats) out.float(7, item);
    out.int(20, 6);
  } else {
    for (const item of value) out.int(8, item);
    out.int(20, 7);
  }
}

function writeInitializer(out: ProtoWriter, weight: Initializer, graph: string, weightsDir: string): void {
  for (const dim of weight.shape) out.int(1, Number(dim));
  out.int(2, TYPE_NUMBER[weight.type]);
  out.string(8, weight.name);
  if (weight.data.kind === 'inline') {
    out.bytes(9, weight.data.bytes);
    return;
  }
  const location = relative(weightsDir, weight.data.path);
  if (location.startsWith('..') || location.startsWith('/')) {
    const node = weight.name;
    throw new AppError('graph_invalid', `The weight ${node} is in ${weight.data.path}, outside of ${weightsDir}.`, { graph, node });
  }
  const entries = { location, offset: String(weight.data.offset), length: String(weight.data.byteLength) };
  for (const [key, value] of Object.entries(entries)) {
    out.message(13, (inner) => {
      inner.string(1, key);
      inner.string(2, value);
    });
  }
  out.int(14, EXTERNAL);
}

function writeValueInfo(out: ProtoWriter, value: Value): void {
  out.string(1, value.name);
  out.message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.int(1, TYPE_NUMBER[value.type]);
      tensor.message(2, (shape) => {
        for (const dim of value.shape) shape.message(1, (inner) => writeDim(inner, dim));
      });
    }),
  );
}

function writeDim(out: ProtoWriter, dim: Dim): void {
  if (typeof dim === 'number') out.int(1, dim);
  else out.string(2, dim);
}
