import { expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { GraphBuilder } from './builder.ts';
import type { Graph, Value } from './ir.ts';
import { verifyGraph } from './verify.ts';

function smallGraph(): Graph {
  const graph = new GraphBuilder('small');
  const x = graph.input('x', 'float32', ['tokens', 4]);
  const y = graph.scope('layer').add('Add', [x, graph.floats([1, 2, 3, 4])]);
  graph.output(graph.scope('layer').add('Tanh', [y]), 'y');
  return graph.finish();
}

function faultOf(run: () => unknown): { node: unknown; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError && error.code === 'graph_invalid') return { node: Reflect.get(error.data, 'node'), message: error.message };
    throw error;
  }
  throw new Error('nothing was found at fault');
}

test('a whole graph passes', () => {
  expect(() => verifyGraph(smallGraph())).not.toThrow();
});

test('the builder names the node whose inputs do not fit', () => {
  const graph = new GraphBuilder('small');
  const x = graph.input('x', 'float32', ['tokens', 4]);
  const fault = faultOf(() => graph.scope('layers.3').add('Add', [x, graph.floats([1, 2, 3])]));
  expect(fault.node).toBe('layers.3/Add');
  expect(fault.message).toContain('[tokens, 4]');
  expect(fault.message).toContain('[3]');
});

test('a product of bytes is refused where scales, types or widths do not fit', () => {
  const graph = new GraphBuilder('small');
  const bytes = graph.input('x', 'uint8', ['tokens', 4]);
  const rows = graph.input('rows', 'int8', [3, 4]);
  const zeros = graph.constant('int8', [3], new Uint8Array(3));
  const middle = graph.constant('uint8', [], Uint8Array.of(128));
  const scales = graph.floats([1, 1, 1]);
  const product = (changed: Record<number, Value>) => {
    const inputs = [bytes, graph.scalar(1), middle, rows, scales, zeros].map((value, i) => changed[i] ?? value);
    return graph.add('QGemm', inputs, { domain: 'com.microsoft', attributes: { transB: 1 } });
  };
  expect(product({})).toMatchObject({ type: 'float32', shape: ['tokens', 3] });
  expect(faultOf(() => product({ 0: graph.input('y', 'uint8', ['tokens', 5]) })).message).toContain('inner dimensions must be equal, met 5 and 4');
  expect(faultOf(() => product({ 4: graph.floats([1, 1]) })).message).toContain('scales and rows');
  expect(faultOf(() => product({ 2: graph.constant('int8', [], Uint8Array.of(0)) })).message).toContain('zero points must have the types');
});

test('an operator without a rule cannot be built', () => {
  const graph = new GraphBuilder('small');
  expect(faultOf(() => graph.add('Einsum', [graph.input('x', 'float32', [1])])).message).toContain('Einsum has no rule');
});

test.each<[string, (graph: Graph) => Graph, string, RegExp]>([
  [
    'an input that nothing makes',
    (g) => ({ ...g, nodes: g.nodes.map((n) => (n.op === 'Tanh' ? { ...n, inputs: ['ghost'] } : n)) }),
    'layer/Tanh',
    /ghost is made by nothing/,
  ],
  ['nodes in the wrong order', (g) => ({ ...g, nodes: g.nodes.toReversed() }), 'layer/Tanh', /made by nothing before it/],
  [
    'a node that nothing uses',
    (g) => ({ ...g, outputs: [{ ...g.outputs[0], name: 'layer/Add:out', type: 'float32', shape: ['tokens', 4] }] }),
    'layer/Tanh',
    /nothing uses/,
  ],
  ['an output that nothing makes', (g) => ({ ...g, outputs: [...g.outputs, { name: 'z', type: 'float32', shape: [1] }] }), 'z', /made by nothing/],
  ['two nodes of one name', (g) => ({ ...g, nodes: g.nodes.map((n) => ({ ...n, name: 'same' })) }), 'same', /another node/],
  ['a value made twice', (g) => ({ ...g, inputs: [...g.inputs, ...g.inputs] }), 'inputs', /x is made twice/],
  ['a weight of another length', (g) => ({ ...g, initializers: g.initializers.map((w) => ({ ...w, shape: [5] })) }), 'const_0', /needs 20 bytes, met 16/],
  [
    'a weight that nothing uses',
    (g) => ({ ...g, initializers: [...g.initializers, ...g.initializers.map((w) => ({ ...w, name: 'spare' }))] }),
    'spare',
    /nothing uses this weight/,
  ],
  [
    'an attribute of the wrong kind',
    (g) => ({ ...g, nodes: g.nodes.map((n) => (n.op === 'Tanh' ? { ...n, op: 'Concat' } : n)) }),
    'layer/Tanh',
    /axis must be an integer/,
  ],
])('%s is found, and the node named', (_, change, node, message) => {
  const fault = faultOf(() => verifyGraph(change(smallGraph())));
  expect(fault.node).toBe(node);
  expect(fault.message).toMatch(message);
});
